/** `edge-fleet freeze`: keeps a ring, or the whole fleet, at what it runs until the freeze is lifted. */
import { join } from "node:path";
import { type Command, Option } from "commander";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { openContext, type RolloutContext, requireRing } from "../rollout/context.ts";
import { FREEZE_FILE, NO_FREEZES, parseFreezes, renderFreezes, withFreeze, withoutFreeze } from "../rollout/freeze.ts";
import { readAt } from "../rollout/git.ts";
import { freezeMessage } from "../rollout/message.ts";
import { describeCommit, isSettled, nextStep, settle, UNSETTLED } from "../rollout/settle.ts";
import { printJson } from "./options.ts";
import { addRolloutOptions, type RolloutCommandOptions } from "./rollout-options.ts";

interface FreezeOptions extends RolloutCommandOptions {
  readonly all?: true;
  readonly off?: true;
  readonly reason?: string;
}

/** Registers the command. */
export function registerFreeze(program: Command): void {
  const command = program
    .command("freeze")
    .description("refuse promotions of a ring or of the whole fleet until the freeze is lifted; rollbacks stay allowed")
    .argument("[ring]", "ring of the fleet, e.g. broad")
    .option("--all", "every ring; with --off: lift every freeze")
    .option("--off", "lift the freeze")
    .addOption(new Option("--reason <text>", "why; is shown to whoever promotes").conflicts("off"));
  addRolloutOptions(command, false).action(async (ring: string | undefined, options: FreezeOptions) => {
    process.exitCode = await freeze(ring, options);
  });
}

async function freeze(ring: string | undefined, options: FreezeOptions): Promise<ExitCode> {
  if ((ring === undefined) === (options.all === undefined))
    throw new UsageError("say what to freeze: either a ring or --all");
  const context = await openContext(options);
  if (ring !== undefined) requireRing(context, ring);
  const change = {
    path: FREEZE_FILE,
    content: await wantedContent(context, ring, options),
    message: freezeMessage(ring, options.off === true, options.reason),
  };
  const what = ring ?? "the whole fleet";
  const done = await isSettled(context, change);
  const settled = done ? UNSETTLED : await settle(context, change, [FREEZE_FILE], options);
  const next = done ? undefined : nextStep(context, change, settled, options);
  const frozen = options.off !== true;
  if (options.json) {
    const { written, commit, pushed } = settled;
    printJson({
      ring: ring ?? null,
      frozen,
      file: join(context.repository.tree, FREEZE_FILE),
      written,
      commit: commit ?? null,
      pushed,
    });
    return EXIT.ok;
  }
  process.stdout.write(`${what}: ${frozen ? "frozen" : "not frozen"}${done ? " already, nothing to commit" : ""}\n`);
  process.stdout.write(describeCommit(settled));
  if (next !== undefined) process.stdout.write(`Next: ${next}\n`);
  return EXIT.ok;
}

async function wantedContent(
  { repository, ref }: RolloutContext,
  ring: string | undefined,
  { off, reason }: FreezeOptions,
): Promise<string | undefined> {
  const text = await readAt(repository, ref, `${repository.prefix}${FREEZE_FILE}`);
  const standing = text === undefined ? NO_FREEZES : parseFreezes(join(repository.tree, FREEZE_FILE), text);
  if (off) {
    if (ring !== undefined && standing.fleet !== undefined)
      throw new UsageError(
        `the whole fleet is frozen, ring ${ring} with it - lift that with edge-fleet freeze --all --off`,
      );
    return renderFreezes(withoutFreeze(standing, ring));
  }
  const since = `${new Date().toISOString().slice(0, 19)}Z`;
  return renderFreezes(withFreeze(standing, ring, { ...(reason === undefined ? {} : { reason }), since }));
}
