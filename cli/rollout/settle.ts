/** Carries a decided change out: on disk only, as a commit, or as a commit pushed to the remote branch. */
import { ENTRY_FOLDER } from "../../components/gitops/entry.ts";
import { MANIFEST_FILE } from "../../components/gitops/manifest.ts";
import { commitChange, type FileChange, filesOf, type Settled, writeFiles } from "./commit.ts";
import type { RolloutContext } from "./context.ts";
import { type Repository, readAt } from "./git.ts";
import { pushChange } from "./push.ts";
import { treeOnDisk } from "./tree-source.ts";

/** How far a change is carried. */
export interface SettleOptions {
  /** False: the file is written on disk and nothing else. Commander's `--no-commit`. */
  readonly commit: boolean;
  /** Show what would be done. */
  readonly dryRun?: true;
}

/** Nothing was done. */
export const UNSETTLED: Settled = { written: false, commit: undefined, pushed: false, checkedOut: true };

/** True when the commit that counts has the content already. */
export async function isSettled(
  { repository, ref }: { readonly repository: Repository; readonly ref: string },
  { path, content }: Pick<FileChange, "path" | "content">,
): Promise<boolean> {
  return (await readAt(repository, ref, `${repository.prefix}${path}`)) === content;
}

/**
 * Carries a change out.
 * @param guarded files below the tree that the change was decided by: with `--push`, another's change of one ends it
 * @throws LostRaceError when somebody else was faster
 * @throws Error with what git said
 */
export async function settle(
  context: RolloutContext,
  change: FileChange,
  guarded: readonly string[],
  options: SettleOptions,
): Promise<Settled> {
  const { repository, target, ref } = context;
  if (options.dryRun) return UNSETTLED;
  if (target !== undefined) return pushChange(repository, target, { ...change, seen: ref, guarded });
  if (options.commit) return { ...UNSETTLED, written: true, commit: await commitChange(repository, change) };
  writeFiles(repository, await filesOf(change, treeOnDisk(repository)));
  return { ...UNSETTLED, written: true };
}

/** The commit of a change, for people; empty when none was made. */
export function describeCommit({ commit, pushed }: Settled): string {
  return commit === undefined ? "" : `${pushed ? "Pushed" : "Committed"} ${commit.slice(0, 12)}\n`;
}

/** What the operator does next to bring the change to the devices; undefined when nothing is left to do. */
export function nextStep(
  context: RolloutContext,
  { path, message, follows }: FileChange,
  settled: Settled,
  options: SettleOptions,
): string | undefined {
  const { repository, target, inventory } = context;
  if (options.dryRun) return "run again without --dry-run";
  if (settled.pushed) return settled.checkedOut ? undefined : `git pull --rebase: ${target?.branch} has moved on`;
  if (settled.commit !== undefined) return `git push: devices follow branch ${inventory.fleet.git.branch ?? "main"}`;
  const following = follows === undefined ? [] : [ENTRY_FOLDER, MANIFEST_FILE];
  const file = [path, ...following].map((name) => `${repository.tree}/${name}`).join(" ");
  const subject = (message.split("\n", 1)[0] ?? "").replaceAll("'", "");
  return `git add ${file} && git commit -m '${subject}' -- ${file} && git push`;
}
