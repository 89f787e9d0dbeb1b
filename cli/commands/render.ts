/** `edge-fleet render`: writes the GitOps tree, or with --check says whether it is stale. */
import type { Command } from "commander";
import { describeChanges, hasChanges, planTree, renderTree, writeTree } from "../../components/gitops/index.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";
import { fleetTree, treeOption } from "./tree-option.ts";

interface RenderOptions {
  readonly inventory: string;
  readonly tree: string;
  readonly check?: true;
  readonly json?: true;
}

/** Registers the command. */
export function registerRender(program: Command): void {
  program
    .command("render")
    .description("write the GitOps tree: overlays, components and ApplicationSets")
    .addOption(inventoryOption())
    .addOption(treeOption())
    .option("--check", "write nothing; exit 1 and list what is stale")
    .addOption(jsonOption())
    .action((options: RenderOptions) => {
      process.exitCode = render(options);
    });
}

function render(options: RenderOptions): ExitCode {
  const changes = planTree(options.tree, renderTree(fleetTree(inventoryOf(options))));
  const stale = hasChanges(changes);
  if (options.json) {
    const paths = (list: readonly { readonly path: string }[]): string[] => list.map(({ path }) => path);
    const { create, update, delete: removed, refused } = changes;
    printJson({
      tree: options.tree,
      stale,
      create: paths(create),
      update: paths(update),
      delete: paths(removed),
      refused,
    });
  } else {
    process.stdout.write(`${describeChanges(changes).join("\n")}\n`);
  }
  if (options.check) {
    if (stale) process.stderr.write(`${options.tree} is stale - run: edge-fleet render, and commit the result\n`);
    return stale ? EXIT.failed : EXIT.ok;
  }
  writeTree(options.tree, changes);
  if (stale && !options.json) process.stdout.write(`Next: git add ${options.tree} && git commit\n`);
  return EXIT.ok;
}
