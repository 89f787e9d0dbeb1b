/** The thin shell of `edge-fleet init`: carries a plan out. A file is created and never replaced, also when it appears meanwhile. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeTree } from "../../components/gitops/index.ts";
import { UsageError } from "../exit.ts";
import type { Conflict, InitFolders, InitPlan } from "./plan.ts";

/** Conflicts that a message lists. */
const MAX_LISTED = 20;

/**
 * Writes the files, then the tree.
 * @throws UsageError with the list when anything stands in the way; nothing is written then
 */
export function writeInit(plan: InitPlan, folders: InitFolders): void {
  refuseConflicts(plan.conflicts, folders);
  for (const { path, text, state } of plan.files) {
    if (state !== "create") continue;
    const target = join(folders.root, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text, { flag: "wx" });
  }
  writeTree(join(folders.root, folders.tree), plan.tree);
}

/** @throws UsageError with the list of what stands in the way, if anything */
export function refuseConflicts(conflicts: readonly Conflict[], { root }: InitFolders): void {
  if (conflicts.length === 0) return;
  const listed = conflicts
    .slice(0, MAX_LISTED)
    .map(({ path, fix }) => `  ${path}${fix === undefined ? "" : ` - ${fix}`}`);
  if (conflicts.length > MAX_LISTED) listed.push(`  … and ${conflicts.length - MAX_LISTED} more`);
  throw new UsageError(
    `init overwrites nothing, and ${conflicts.length} file(s) are in the way below ${root}:\n${listed.join("\n")}\n` +
      "nothing was written - begin in an empty folder; a fleet that exists is changed by editing its files",
  );
}

/** The plan for people, one line a file. */
export function describeInit({ files, tree }: InitPlan, folders: InitFolders): string[] {
  const created = files.map(({ path, state }) => `${state === "conflict" ? "refuse" : state} ${path}`);
  const inTree = tree.create.length;
  return [...created, `create ${inTree} file(s) of the GitOps tree in ${folders.tree}`];
}
