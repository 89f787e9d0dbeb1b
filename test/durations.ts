/**
 * How long each test file took when it ran last, kept beside the built tools. The longest go first, so that no long one is left
 * alone at the end of a run.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheRoot } from "./lab/toolchain/cache.ts";

/** Milliseconds by the path of a test file in the repository. */
export type Durations = Readonly<Record<string, number>>;

/** @param path default: in the cache folder */
export function readDurations(path = durationsPath()): Durations {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Durations) : {};
}

/** Adds those of a run to the ones that are kept. @param path default: in the cache folder */
export function keepDurations(durations: Durations, path = durationsPath()): void {
  mkdirSync(dirname(path), { recursive: true });
  const written = `${path}.${process.pid}`;
  writeFileSync(written, JSON.stringify({ ...readDurations(path), ...durations }));
  renameSync(written, path);
}

/** Files of which nothing is known, then the others from the longest to the shortest. */
export function longestFirst(files: readonly string[], durations: Durations): string[] {
  const known = files.filter((file) => file in durations);
  const unknown = files.filter((file) => !(file in durations));
  return [...unknown, ...known.sort((one, other) => (durations[other] ?? 0) - (durations[one] ?? 0))];
}

function durationsPath(): string {
  return join(cacheRoot(), "durations.json");
}
