/** `edge-fleet check`: which devices cannot become what the inventory says, and what in the tree must not reach one. For CI. */
import { type Command, Option } from "commander";
import { inventoryWarnings, resolveFleet } from "../../components/inventory/index.ts";
import { planFindings } from "../../components/plan/findings.ts";
import { checkInput, checkTree } from "../check/tree.ts";
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

async function check(options: CheckOptions): Promise<void> {
  const inventory = inventoryOf(options);
  const fleet = resolveFleet(inventory);
  const input = checkInput(inventory, fleet);
  const { errors, warnings: planned } = planFindings(inventory, fleet);
  const warnings = [...inventoryWarnings(inventory), ...planned];
  const rendered = await hasKustomize();
  const problems = await checkTree(options.tree, input);
  if (options.json) printJson({ tree: options.tree, rendered, problems, plan: { errors, warnings } });
  else for (const line of [...errors, ...problems.map(formatTreeProblem)]) process.stdout.write(`${line}\n`);
  if (!options.json) for (const line of warnings) process.stderr.write(`warning: ${line}\n`);
  if (!rendered)
    process.stderr.write(
      "kustomize is not on PATH: memory, runtime classes and what patches make of images were not checked - install kustomize v5\n",
    );
  const refused = problems.length + errors.length;
  if (!options.json && refused === 0) process.stdout.write(`${options.tree}: nothing to refuse\n`);
  process.exitCode = refused > 0 || (options.requireKustomize && !rendered) ? EXIT.failed : EXIT.ok;
}
