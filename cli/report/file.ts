/** The file of a report: the one before, with which the next is compared, and the next in its place. */
import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { UsageError } from "../exit.ts";
import { extractFacts } from "./embed.ts";
import type { ReportFacts } from "./model.ts";

/** Bytes of a file that are read: 100,000 devices take a tenth of it. */
const LARGEST = 2 ** 28;

/**
 * The report that a file holds.
 * @param fleet whose report it has to be
 * @returns undefined where there is no such file
 * @throws UsageError when it holds anything else: it would be overwritten
 */
export function readReport(file: string, fleet: string): ReportFacts | undefined {
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isFile() || stats.size > LARGEST)
    throw new UsageError(`${file} is no file of a report - give another one to --out`);
  const facts = extractFacts(readFileSync(file, "utf8"));
  if (facts === undefined)
    throw new UsageError(
      `${file} holds something else than a report of this edge-fleet - remove it, or give another file to --out`,
    );
  if (facts.fleet !== fleet)
    throw new UsageError(`${file} is a report of the fleet ${facts.fleet} - give another file to --out`);
  return facts;
}

/** Replaces it as a whole. @throws UsageError when it cannot be written */
export function writeReport(file: string, page: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, page, { flag: "wx" });
    renameSync(temporary, file);
  } catch (error) {
    throw new UsageError(`${file}: cannot be written: ${(error as Error).message} - give another file to --out`);
  } finally {
    rmSync(temporary, { force: true });
  }
}
