/** `edge-fleet diff`: what devices would get otherwise between two commits, leaf by leaf, as rendered. */
import { posix } from "node:path";
import { type Command, Option } from "commander";
import { sourceFolder, takesWorkload } from "../../components/gitops/index.ts";
import { type DiffReport, formatDiff, formatDiffMarkdown } from "../diff/report.ts";
import { runDiff } from "../diff/run.ts";
import { EXIT } from "../exit.ts";
import { foldersOf, openContext, type RolloutContext } from "../rollout/context.ts";
import { resolveCommit } from "../rollout/git.ts";
import { inventoryOption, jsonOption, printJson } from "./options.ts";
import { treeOption } from "./tree-option.ts";

interface DiffOptions {
  readonly inventory: string;
  readonly tree: string;
  readonly json?: true;
  readonly markdown?: true;
}

/** Registers the command. */
export function registerDiff(program: Command): void {
  program
    .command("diff")
    .description("show what leaves render to otherwise between two commits, with the number of devices")
    .argument("<base>", "commit to compare with, e.g. origin/main")
    .argument("[head]", "commit that is compared", "HEAD")
    .addOption(inventoryOption())
    .addOption(treeOption())
    .addOption(new Option("--markdown", "for a comment on a pull request").conflicts("json"))
    .addOption(jsonOption())
    .action((base: string, head: string, options: DiffOptions) => diff(base, head, options));
}

async function diff(base: string, head: string, options: DiffOptions): Promise<void> {
  const context = await openContext(options);
  const { repository, inventory } = context;
  const layout = inventory.fleet.git.layout ?? "live";
  const report = await runDiff({
    repository,
    base: { name: base, commit: await resolveCommit(repository, base) },
    head: { name: head, commit: await resolveCommit(repository, head) },
    devices: allFolders(context),
    root: posix.dirname(posix.dirname(sourceFolder(layout, { region: "r", model: "m" }))),
  });
  if (options.json) printJson(describeDiff(report));
  else process.stdout.write(options.markdown ? formatDiffMarkdown(report) : formatDiff(report));
  const broken = report.groups.some(({ difference }) => difference.kind === "failed" && difference.at === "head");
  process.exitCode = broken ? EXIT.failed : EXIT.ok;
}

/** Devices by folder: the overlays and the fleet's further workloads. */
function allFolders(context: RolloutContext): ReadonlyMap<string, number> {
  const { inventory, devices } = context;
  const folders = [undefined, ...(inventory.fleet.workloads ?? [])].map((workload) => {
    const own = devices.filter((device) => takesWorkload(device, workload));
    return foldersOf({ ...context, workload }, own);
  });
  return new Map(folders.flatMap((counts) => [...counts]));
}

/** A report for programs. */
export function describeDiff({ base, head, groups, unchanged }: DiffReport): unknown {
  return {
    base: base.commit,
    head: head.commit,
    unchanged,
    groups: groups.map(({ paths, devices, difference }) => ({ paths, devices, ...difference })),
  };
}
