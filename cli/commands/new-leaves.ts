/** `edge-fleet promote <ring> --new-leaves`: gives a ring the leaves of new regions and models, and releases nothing. */
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { devicesIn, type RolloutContext, readRing, ringChange } from "../rollout/context.ts";
import { git } from "../rollout/git.ts";
import { rolloutMessage } from "../rollout/message.ts";
import { makeNewLeaves, type NewLeaves } from "../rollout/new-leaves.ts";
import { describeCommit, nextStep, settle, UNSETTLED } from "../rollout/settle.ts";
import { printJson } from "./options.ts";
import type { RolloutCommandOptions } from "./rollout-options.ts";

/**
 * Adds the leaves that the ring's commit lacks. Neither order nor soak, health nor a freeze stands against it: what runs
 * stays as it is.
 * @throws UsageError when the ring deploys nothing yet, and as {@link makeNewLeaves}
 */
export async function addNewLeaves(
  context: RolloutContext,
  ring: string,
  options: RolloutCommandOptions,
): Promise<ExitCode> {
  const { current } = await readRing(context, ring);
  if (current === undefined) throw new UsageError(`ring ${ring} deploys nothing yet - promote it with --to <commit>`);
  const made = await makeNewLeaves(context, ring, current.revision);
  if (made === undefined) {
    if (options.json)
      printJson({ ring, revision: current.revision, previous: current.revision, folders: [], written: false });
    else process.stdout.write(`${ring}: ${current.revision} has every leaf that its devices deploy\n`);
    return EXIT.ok;
  }
  const { previous, revision, folders, branch } = made;
  const message = rolloutMessage({
    verb: "Add leaves to",
    ring,
    workload: context.workload?.name,
    revision,
    previous,
    devices: devicesIn(context, ring).length,
    reason: undefined,
  });
  const change = ringChange(context, ring, revision, message);
  if (!options.dryRun) await keep(context, made);
  const settled = options.dryRun ? UNSETTLED : await settle(context, change, [change.path], options);
  const step = nextStep(context, change, settled, options);
  const next =
    step === undefined || options.dryRun || context.target !== undefined ? step : `${step}; git push origin ${branch}`;
  if (options.json)
    printJson({
      ring,
      revision,
      previous,
      folders,
      branch,
      written: settled.written,
      commit: settled.commit ?? null,
      pushed: settled.pushed,
    });
  else {
    process.stdout.write(`${ring}: ${previous} -> ${revision}, which only adds\n`);
    for (const folder of folders) process.stdout.write(`  ${folder}\n`);
    process.stdout.write(`${describeCommit(settled)}${next === undefined ? "" : `Next: ${next}\n`}`);
  }
  return EXIT.ok;
}

/** The branch comes first: a ring file must not name a commit that no device can fetch. */
async function keep({ repository, target }: RolloutContext, { branch, revision }: NewLeaves): Promise<void> {
  if (target === undefined) {
    await git(repository, ["update-ref", `refs/heads/${branch}`, revision]);
    return;
  }
  await git(repository, ["push", "--quiet", "--", target.remote, `${revision}:refs/heads/${branch}`]);
  await git(repository, ["update-ref", `refs/remotes/${target.remote}/${branch}`, revision]);
}
