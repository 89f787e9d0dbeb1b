/** A Git repository with a fleet and its tree, and if wanted a bare remote that others push to as well. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { RunResult } from "../../../cli/process.ts";
import { edgeFleet } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

/** Two devices of ring canary, two of broad, two models. */
export const TOKYO = `region: tokyo
gitops: { engine: argocd-agent, agent: { address: hub.example.com, generation: 2026 } }
devices:
  - { id: a, host: 10.0.0.1, model: box, ring: canary }
  - { id: b, host: 10.0.0.2, model: other, ring: canary }
  - { id: c, host: 10.0.0.3, model: box }
  - { id: d, host: 10.0.0.4, model: other }
`;

/** One clone of the repository. */
export class Clone {
  readonly directory: string;
  readonly #environment: Record<string, string> = {};

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Dates of the commits that are made from now on. */
  setDate(date: Date): void {
    this.#environment.GIT_COMMITTER_DATE = date.toISOString();
    this.#environment.GIT_AUTHOR_DATE = date.toISOString();
  }

  /** Runs git. @throws AssertionError with what it said */
  git(...args: string[]): string {
    const env = { ...process.env, ...this.#environment };
    const { status, stdout, stderr } = spawnSync("git", args, { cwd: this.directory, encoding: "utf8", env });
    assert.equal(status, 0, `git ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  }

  /** Runs edge-fleet in the clone. */
  run(...args: string[]): Promise<RunResult> {
    return edgeFleet(args, { cwd: this.directory, environment: this.#environment });
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.directory, path)), { recursive: true });
    writeFileSync(join(this.directory, path), text);
  }

  read(path: string): string {
    return readFileSync(join(this.directory, path), "utf8");
  }

  /** Commits everything. @returns full SHA */
  commit(subject: string): string {
    this.git("add", "-A");
    this.git("commit", "-q", "-m", subject);
    return this.git("rev-parse", "HEAD");
  }

  /** A change of the workload, committed. @returns full SHA */
  change(level: string): string {
    const path = "fleet/base/deployment.yaml";
    this.write(path, this.read(path).replace(/--level=\w+/, `--level=${level}`));
    return this.commit(`Log at level ${level}`);
  }
}

function configure(clone: Clone, name: string): Clone {
  for (const [key, value] of [
    ["user.name", name],
    ["user.email", `${name}@example.com`],
    ["commit.gpgsign", "false"],
  ] as const)
    clone.git("config", key, value);
  return clone;
}

/**
 * A repository with a rendered, committed tree.
 * @param fleet lines added to fleet.yaml
 */
export async function rolloutRepository(context: TestContext, fleet = "", region = TOKYO): Promise<Clone> {
  const stacks = writeInventory(context, { "tokyo.yaml": region });
  const clone = new Clone(dirname(stacks));
  clone.git("init", "-q", "-b", "main");
  configure(clone, "ann");
  clone.write("stacks/fleet.yaml", clone.read("stacks/fleet.yaml") + fleet);
  const { exitCode, stderr } = await clone.run("render");
  assert.equal(exitCode, 0, stderr);
  clone.commit("Start");
  return clone;
}

/** Gives the repository a bare remote, and a second clone of it. */
export function shareRepository(context: TestContext, first: Clone): Clone {
  const directory = temporaryDirectory(context);
  first.git("clone", "-q", "--bare", ".", join(directory, "remote.git"));
  first.git("remote", "add", "origin", join(directory, "remote.git"));
  first.git("fetch", "-q", "origin");
  first.git("branch", "-q", "--set-upstream-to=origin/main");
  first.git("clone", "-q", join(directory, "remote.git"), join(directory, "second"));
  return configure(new Clone(join(directory, "second")), "bob");
}

/** What `--status` reads: these devices, observed a minute ago, and running what they run since yesterday. */
export function statusFile(clone: Clone, devices: Readonly<Record<string, object>>): string {
  const observedAt = new Date(Date.now() - 60_000).toISOString();
  const entries = Object.entries(devices).map(([id, device]) => [
    id,
    { connected: true, healthy: true, observedAt, since: hoursAgo(24).toISOString(), ...device },
  ]);
  // Outside of the repository's index: a status is no part of it.
  const path = join(clone.directory, ".git", "status.json");
  writeFileSync(path, JSON.stringify(Object.fromEntries(entries)));
  return path;
}

/** Hours before now. */
export function hoursAgo(hours: number): Date {
  return new Date(Date.now() - hours * 3_600_000);
}
