/** `edge-fleet overview`: the architecture of this very fleet, as bullets and a picture. */
import { type Command, Option } from "commander";
import { readRings } from "../../components/gitops/rings.ts";
import { resolveFleet } from "../../components/inventory/index.ts";
import { buildOverview } from "../overview/model.ts";
import { renderMarkdown, renderText } from "../overview/render.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";
import { treeOption } from "./tree-option.ts";

interface OverviewOptions {
  readonly inventory: string;
  readonly tree: string;
  readonly markdown?: true;
  readonly json?: true;
}

/** Registers the command. */
export function registerOverview(program: Command): void {
  program
    .command("overview")
    .description("show what the fleet is: counts, ports, what happens off-line, blast radius, and a Mermaid picture")
    .addOption(inventoryOption())
    .addOption(treeOption())
    .addOption(new Option("--markdown", "as a Markdown page, for a wiki or a pull request").conflicts("json"))
    .addOption(jsonOption())
    .action((options: OverviewOptions) => overview(options));
}

function overview(options: OverviewOptions): void {
  const inventory = inventoryOf(options);
  const document = buildOverview(inventory, resolveFleet(inventory), readRings(options.tree));
  if (options.json) printJson(document);
  else process.stdout.write(options.markdown ? renderMarkdown(document) : renderText(document));
}
