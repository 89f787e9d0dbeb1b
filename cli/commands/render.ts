/** `edge-fleet render`: writes the GitOps tree, or with --check says whether it is stale and fit for devices. */
import type { Command } from "commander";
import {
  describeChanges,
  describeRegionSizes,
  hasChanges,
  listBuilds,
  planFleet,
  planTree,
  type Tree,
  type TreeChanges,
  type TreeInput,
  writeTree,
} from "../../components/gitops/index.ts";
import { checkTree } from "../check/tree.ts";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { buildManifests, withManifests } from "../manifests/build.ts";
import { formatTreeProblem, type TreeProblem } from "../manifests/objects.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";
import { fleetTree, treeOption } from "./tree-option.ts";

interface RenderOptions {
  readonly inventory: string;
  readonly tree: string;
  readonly check?: true;
  readonly manifests?: true;
  readonly json?: true;
}

const HELP = `
With git.layout rendered, CI runs it with --manifests before it commits: every leaf is built with kustomize (or kubectl)
from PATH and written to rendered/<region>/<model>/manifests.yaml. Promotion is the same in both layouts.`;

/** Registers the command. */
export function registerRender(program: Command): void {
  program
    .command("render")
    .description("write the GitOps tree: overlays, components and ApplicationSets")
    .addOption(inventoryOption())
    .addOption(treeOption())
    .option("--check", "write nothing; exit 1 and list what is stale, and what must not reach a device")
    .option("--manifests", "also build every leaf with kustomize (git.layout rendered)")
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (options: RenderOptions) => {
      process.exitCode = await render(options);
    });
}

async function render(options: RenderOptions): Promise<ExitCode> {
  const inventory = inventoryOf(options);
  const input = fleetTree(inventory);
  if (options.manifests && input.git.layout !== "rendered")
    throw new UsageError(
      "--manifests: git.layout in fleet.yaml is live - set it to rendered, or leave --manifests out",
    );
  for (const line of describeRegionSizes(input.devices)) process.stderr.write(`warning: ${line}\n`);
  const { tree, changes: planned } = planFleet(options.tree, input);
  let changes = planned;
  const stale = hasChanges(changes);
  if (options.manifests && !(options.check && stale)) {
    // Kustomize reads the folder, so what the leaves are made of is written first.
    if (!options.check) writeTree(options.tree, changes);
    changes = merge(changes, await planManifests(options.tree, input, tree));
  }
  const fit = options.check && !hasChanges(changes);
  const problems = fit ? await checkTree(options.tree, input, inventory) : [];
  return report(options, changes, problems, Boolean(options.manifests && options.check && stale));
}

async function planManifests(directory: string, input: TreeInput, tree: Tree): Promise<TreeChanges> {
  return planTree(directory, withManifests(tree, await buildManifests(directory, listBuilds(input))));
}

/** What both writes of one run did together. */
function merge(first: TreeChanges, second: TreeChanges): TreeChanges {
  const written = new Set([...first.create, ...first.update].map(({ path }) => path));
  return {
    ...second,
    create: [...first.create, ...second.create],
    update: [...first.update, ...second.update],
    delete: [...first.delete, ...second.delete],
    unchanged: second.unchanged.filter((path) => !written.has(path)),
  };
}

function report(
  options: RenderOptions,
  changes: TreeChanges,
  problems: readonly TreeProblem[],
  skipped: boolean,
): ExitCode {
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
      problems,
    });
  } else {
    process.stdout.write(`${[...describeChanges(changes), ...problems.map(formatTreeProblem)].join("\n")}\n`);
  }
  if (options.check) {
    const command = options.manifests ? "edge-fleet render --manifests" : "edge-fleet render";
    if (skipped) process.stderr.write("the manifests were not built: what they are made of is stale\n");
    if (stale) process.stderr.write(`${options.tree} is stale - run: ${command}, and commit the result\n`);
    return stale || problems.length > 0 ? EXIT.failed : EXIT.ok;
  }
  writeTree(options.tree, changes);
  if (stale && !options.json) process.stdout.write(`Next: git add ${options.tree} && git commit\n`);
  return EXIT.ok;
}
