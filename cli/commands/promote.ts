/** `edge-fleet promote`: pins a ring to a commit, once the ring before has run it long enough and well. */
import { join } from "node:path";
import type { Command } from "commander";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import type { Settled } from "../rollout/commit.ts";
import {
  devicesIn,
  fileOfRing,
  openContext,
  type RolloutContext,
  readRing,
  requireRing,
  ringChange,
} from "../rollout/context.ts";
import { type ChangeImpact, lookAtImpact, type PromotionPlan, planPromotion, ringBefore } from "../rollout/decide.ts";
import { FREEZE_FILE } from "../rollout/freeze.ts";
import type { Refusal } from "../rollout/gate.ts";
import { resolveCommit } from "../rollout/git.ts";
import { rolloutMessage } from "../rollout/message.ts";
import { describeBefore, describeImpact, describeSigner } from "../rollout/report.ts";
import { describeCommit, isSettled, nextStep, settle, UNSETTLED } from "../rollout/settle.ts";
import { readStatuses, statusOptions } from "../rollout/status-source.ts";
import { describeDiff } from "./diff.ts";
import { addNewLeaves } from "./new-leaves.ts";
import { printJson } from "./options.ts";
import { addRolloutOptions, type RolloutCommandOptions } from "./rollout-options.ts";

interface PromoteOptions extends RolloutCommandOptions {
  readonly to?: string;
  readonly from?: string;
  readonly newLeaves?: true;
  readonly force?: string;
  readonly status?: string;
  readonly kubeconfig?: string;
  readonly maxStatusAge: number;
  readonly diff: boolean;
}

const HELP = `
The devices of the ring before tell how they are: those without an agent are asked over SSH, 64 at a time and 20 s each, the
others by the hub (--kubeconfig), or all by a file (--status). One that does not answer counts as not healthy.
Exit codes: 0 promoted, 1 the ring before is not healthy, 2 wrong usage or something has to be done first, 3 too early.`;

/** Registers the command. */
export function registerPromote(program: Command): void {
  const command = program
    .command("promote")
    .description("pin a ring to a commit of the tree's repository, once the ring before has run it well")
    .argument("<ring>", "ring of the fleet, e.g. canary")
    .option("--to <commit>", "commit to deploy; a tag or a branch is resolved to its full SHA now")
    .option("--from <ring>", "the commit that another ring deploys. Default: that of the ring before")
    .option("--new-leaves", "release nothing, but add the leaves of new regions and models to what the ring deploys")
    .option("--force <reason>", "promote against order, soak and health; the reason goes into the commit")
    .option("--no-diff", "leave out the rendered difference");
  for (const option of statusOptions()) command.addOption(option);
  addRolloutOptions(command)
    .addHelpText("after", HELP)
    .action(async (ring: string, options: PromoteOptions) => {
      process.exitCode = await promote(ring, options);
    });
}

async function promote(ring: string, options: PromoteOptions): Promise<ExitCode> {
  const reason = options.force?.trim();
  if (reason === "") throw new UsageError("--force needs a reason, which goes into the commit - say why");
  const context = await openContext(options);
  requireRing(context, ring);
  if (options.newLeaves) {
    if (options.to !== undefined || options.from !== undefined || reason !== undefined)
      throw new UsageError("--new-leaves takes neither --to, --from nor --force: it stays on what the ring deploys");
    return addNewLeaves(context, ring, options);
  }
  const revision = await resolveCommit(context.repository, await wantedRevision(context, ring, options));
  const file = ringChange(context, ring, revision, "");
  if (await isSettled(context, file)) {
    if (options.json) printJson({ ring, revision, previous: revision, file: file.path, written: false });
    else process.stdout.write(`${ring}: already at ${revision}, nothing to commit\n`);
    return EXIT.ok;
  }
  const before = ringBefore(context, ring);
  const needed = before === undefined ? [] : devicesIn(context, before);
  const statuses = await readStatuses(
    { ...options, dial: true },
    { inventory: context.inventory, devices: needed, workload: context.workload?.name },
  );
  const now = Date.now();
  const plan = await planPromotion(context, { ring, revision }, { statuses, maxAgeMs: options.maxStatusAge, now });
  const standing = plan.refusals.filter(({ forceable }) => reason === undefined || !forceable);
  const impact = await lookAtImpact(context, plan, options.diff && standing.length === 0);
  if (standing.length > 0)
    return refuse(options.json ? outcomeOf(context, plan, impact, UNSETTLED) : undefined, standing);
  const message = rolloutMessage({
    verb: "Promote",
    ring,
    workload: context.workload?.name,
    revision,
    previous: impact.previous,
    devices: impact.devices.length,
    reason: plan.refusals.length > 0 ? reason : undefined,
  });
  if (!options.json) describe(plan, impact, now);
  const change = { ...file, message };
  const guarded = [file.path, FREEZE_FILE, ...(before === undefined ? [] : [fileOfRing(context, before)])];
  const settled = await settle(context, change, guarded, options);
  const next = nextStep(context, change, settled, options);
  if (options.json) printJson(outcomeOf(context, plan, impact, settled));
  else conclude(context, ring, settled, next);
  return EXIT.ok;
}

async function wantedRevision(context: RolloutContext, ring: string, options: PromoteOptions): Promise<string> {
  const { to, from } = options;
  const source = from ?? ringBefore(context, ring);
  if (to !== undefined && from !== undefined)
    throw new UsageError("say which commit: either --to <commit> or --from <ring>");
  if (to !== undefined) return to;
  if (source === undefined) throw new UsageError("say which commit: either --to <commit> or --from <ring>");
  if (source === ring) throw new UsageError(`--from ${source} is the ring itself - use an earlier ring`);
  requireRing(context, source);
  const { current } = await readRing(context, source);
  if (current === undefined)
    throw new UsageError(`ring ${source} deploys nothing yet - promote it first, or use --to <commit>`);
  return current.revision;
}

function describe(plan: PromotionPlan, impact: ChangeImpact, now: number): void {
  const { ring, revision, before, published, refusals } = plan;
  process.stdout.write(`${ring}: ${impact.previous ?? "nothing"} -> ${revision}\n`);
  process.stdout.write(`${describeSigner(plan)}${describeBefore(before, now)}${describeImpact(impact)}`);
  for (const { message } of refusals) process.stderr.write(`forced: ${message}\n`);
  if (published === false)
    process.stderr.write(`warning: ${revision} is on no remote branch yet - push it, devices pull it from there\n`);
}

/** Exit codes: 3 when it is only too early, 1 when the ring before is not healthy, 2 when something has to be done. */
function refuse(outcome: object | undefined, standing: readonly Refusal[]): ExitCode {
  if (outcome !== undefined) printJson(outcome);
  for (const { message } of standing) process.stderr.write(`error: ${message}\n`);
  if (standing.every(({ forceable }) => forceable))
    process.stderr.write("nothing was changed; --force <reason> promotes all the same\n");
  const reasons = new Set(standing.map(({ reason }) => reason));
  if (["frozen", "order", "unpublished", "no-status"].some((reason) => reasons.has(reason as Refusal["reason"])))
    return EXIT.usage;
  return reasons.has("health") ? EXIT.failed : EXIT.pending;
}

function conclude(context: RolloutContext, ring: string, settled: Settled, next: string | undefined): void {
  process.stdout.write(describeCommit(settled));
  if (next !== undefined) process.stdout.write(`Next: ${next}\n`);
  const after = context.rings[context.rings.indexOf(ring) + 1];
  if (next === undefined && after !== undefined)
    process.stdout.write(`Next: edge-fleet promote ${after}, after the soak of ring ${ring}\n`);
}

function outcomeOf(context: RolloutContext, plan: PromotionPlan, impact: ChangeImpact, settled: Settled): object {
  const { ring, revision, refusals, before, published, signer } = plan;
  const { previous, devices, blast, commits, backwards, diff, noDiff } = impact;
  return {
    ring,
    workload: context.workload?.name ?? null,
    revision,
    previous: previous ?? null,
    file: join(context.repository.tree, fileOfRing(context, ring)),
    written: settled.written,
    commit: settled.commit ?? null,
    pushed: settled.pushed,
    published: published ?? null,
    signer: signer ?? null,
    devices: devices.length,
    blast,
    commits,
    backwards,
    before: before === undefined ? null : { ring: before.ring, verdict: before.verdict ?? null },
    refusals,
    diff: diff === undefined ? null : describeDiff(diff),
    noDiff: noDiff ?? null,
  };
}
