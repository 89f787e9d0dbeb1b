/** `edge-fleet rollback`: takes a ring back to what it ran before, at once. Other rings are told, and left alone. */
import { join } from "node:path";
import type { Command } from "commander";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import type { Settled } from "../rollout/commit.ts";
import {
  openContext,
  type RingState,
  type RolloutContext,
  readRing,
  requireRing,
  ringChange,
} from "../rollout/context.ts";
import { lookAtImpact, missingFolders } from "../rollout/decide.ts";
import { isAncestor, resolveCommit } from "../rollout/git.ts";
import { earlierRevisions } from "../rollout/history.ts";
import { rolloutMessage } from "../rollout/message.ts";
import { releaseOf } from "../rollout/release.ts";
import { describeImpact } from "../rollout/report.ts";
import { describeCommit, nextStep, settle } from "../rollout/settle.ts";
import { describeDiff } from "./diff.ts";
import { printJson } from "./options.ts";
import { addRolloutOptions, type RolloutCommandOptions } from "./rollout-options.ts";

interface RollbackOptions extends RolloutCommandOptions {
  readonly to?: string;
  readonly reason?: string;
  readonly diff: boolean;
}

/** Registers the command. */
export function registerRollback(program: Command): void {
  const command = program
    .command("rollback")
    .description("take a ring back to the commit that it ran before; allowed while it soaks or is frozen")
    .argument("<ring>", "ring of the fleet, e.g. canary")
    .option("--to <commit>", "an earlier commit of the ring. Default: the one before, without those rolled back")
    .option("--reason <text>", "why; goes into the commit")
    .option("--no-diff", "leave out the rendered difference");
  addRolloutOptions(command).action(async (ring: string, options: RollbackOptions) => {
    process.exitCode = await rollback(ring, options);
  });
}

async function rollback(ring: string, options: RollbackOptions): Promise<ExitCode> {
  const context = await openContext(options);
  requireRing(context, ring);
  const { repository, workload } = context;
  const state = await readRing(context, ring);
  const revision = await targetOf(context, state, options.to);
  const impact = await lookAtImpact(context, { ring, revision }, options.diff);
  const [missing, later] = [await missingFolders(context, ring, revision), await laterRings(context, state)];
  const { previous, devices, blast, diff } = impact;
  const facts = { ring, workload: workload?.name, revision, previous, devices: devices.length };
  const message = rolloutMessage({ verb: "Roll back", ...facts, reason: options.reason });
  const change = ringChange(context, ring, revision, message);
  const settled = await settle(context, change, [change.path], options);
  if (options.json) {
    const { written, commit = null, pushed } = settled;
    const names = { ...facts, workload: workload?.name ?? null, previous: previous ?? null };
    const file = join(repository.tree, change.path);
    const told = diff === undefined ? null : describeDiff(diff);
    printJson({ ...names, file, written, commit, pushed, blast, missing, later, diff: told });
    return EXIT.ok;
  }
  process.stdout.write(`${ring}: ${previous ?? "nothing"} -> ${revision}\n`);
  process.stdout.write(describeImpact({ ...impact, backwards: false }));
  for (const folder of missing)
    process.stderr.write(`warning: ${revision.slice(0, 12)} has no ${folder}: its devices stay on what they run\n`);
  conclude(settled, later, nextStep(context, change, settled, options));
  return EXIT.ok;
}

function conclude(settled: Settled, later: readonly string[], next: string | undefined): void {
  process.stdout.write(describeCommit(settled));
  for (const ring of later)
    process.stdout.write(
      `Ring ${ring} still runs what was rolled back - roll it back too: edge-fleet rollback ${ring}\n`,
    );
  if (next !== undefined) process.stdout.write(`Next: ${next}\n`);
}

async function targetOf(context: RolloutContext, state: RingState, wanted: string | undefined): Promise<string> {
  const { repository } = context;
  const running = state.current === undefined ? undefined : await releaseOf(repository, state.current.revision);
  const earlier: string[] = [];
  for (const revision of earlierRevisions(state.periods))
    if ((await releaseOf(repository, revision)) !== running) earlier.push(revision);
  const [previous] = earlier;
  if (previous === undefined)
    throw new UsageError(`ring ${state.ring} has run no other commit before - promote it to a good one instead`);
  const revision = await resolveCommit(repository, wanted ?? previous);
  if (earlier.includes(revision)) return revision;
  const known = earlier.slice(0, 5).map((commit) => commit.slice(0, 12));
  throw new UsageError(
    `ring ${state.ring} does not go back to ${revision.slice(0, 12)}, which it has not run before - use one of ${known.join(", ")}, or promote`,
  );
}

/** Later rings whose commit contains what this one rolls back. */
async function laterRings(context: RolloutContext, { ring, current }: RingState): Promise<string[]> {
  const names = context.rings.slice(context.rings.indexOf(ring) + 1);
  const found: string[] = [];
  for (const name of names) {
    const running = (await readRing(context, name)).current?.revision;
    if (running === undefined || current === undefined) continue;
    if (await isAncestor(context.repository, current.revision, running)) found.push(name);
  }
  return found;
}
