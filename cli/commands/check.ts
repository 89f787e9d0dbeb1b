/** `edge-fleet check`: which devices cannot become what the inventory says, and what in the tree must not reach one. For CI. */
import { type Command, Option } from "commander";
import { treeInput } from "../../components/gitops/index.ts";
import { type Inventory, InventoryError, inventoryWarnings, resolveFleet } from "../../components/inventory/index.ts";
import { summarizeProblems } from "../../components/inventory/problems.ts";
import { planFindings } from "../../components/plan/findings.ts";
import { checkRingLeaves } from "../check/leaves.ts";
import { checkTree } from "../check/tree.ts";
import { EXIT } from "../exit.ts";
import { hasKustomize } from "../manifests/kustomize.ts";
import { formatTreeProblem } from "../manifests/objects.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";
import { treeOption } from "./tree-option.ts";

interface CheckOptions {
  readonly inventory: string;
  readonly tree: string;
  readonly json?: true;
  readonly requireKustomize?: true;
}

/** Registers the command. */
export function registerCheck(program: Command): void {
  program
    .command("check")
    .description(
      "refuse settings with which a device cannot work; and remote bases, images that move, plaintext Secrets, too much memory and the like in the tree",
    )
    .addOption(inventoryOption())
    .addOption(treeOption())
    .addOption(new Option("--require-kustomize", "fail where kustomize is not on PATH instead of checking less"))
    .addOption(jsonOption())
    .action((options: CheckOptions) => check(options));
}

/** What the report for --json has where there is nothing to say. */
const NOTHING = { inventory: [], rendered: false, problems: [], plan: { errors: [], warnings: [] } } as const;

/** A program that reads the report gets one for a broken inventory too. @throws InventoryError */
function loadOrReport(options: CheckOptions): Inventory {
  try {
    return inventoryOf(options);
  } catch (error) {
    if (options.json && error instanceof InventoryError)
      printJson({ ...NOTHING, tree: options.tree, inventory: error.problems });
    throw error;
  }
}

async function check(options: CheckOptions): Promise<void> {
  const inventory = loadOrReport(options);
  const fleet = resolveFleet(inventory);
  const { errors, warnings: planned } = planFindings(inventory, fleet);
  const warnings = [...inventoryWarnings(inventory), ...planned];
  const rendered = await hasKustomize();
  const problems = [
    ...(await checkTree(options.tree, treeInput(inventory, fleet), inventory)),
    ...(await checkRingLeaves(options.tree, inventory)),
  ];
  if (options.json) printJson({ ...NOTHING, tree: options.tree, rendered, problems, plan: { errors, warnings } });
  else
    for (const line of summarizeProblems([...errors, ...problems.map(formatTreeProblem)]))
      process.stdout.write(`${line}\n`);
  if (!options.json) for (const line of summarizeProblems(warnings)) process.stderr.write(`warning: ${line}\n`);
  if (!rendered)
    process.stderr.write(
      "kustomize is not on PATH: memory, runtime classes and what patches make of images and of single devices were not checked - install kustomize v5\n",
    );
  const refused = problems.length + errors.length;
  if (!options.json && refused === 0) process.stdout.write(`${options.tree}: nothing to refuse\n`);
  process.exitCode = refused > 0 || (options.requireKustomize && !rendered) ? EXIT.failed : EXIT.ok;
}
