/**
 * What init would write and what stands in its way: from the answers and the folder to files, each new, already there as
 * it should be, or in the way. Reads, never writes.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parse } from "yaml";
import { describeRegionSizes, planTree, renderTree, type TreeChanges } from "../../components/gitops/index.ts";
import { fleetTree } from "../commands/tree-option.ts";
import { UsageError } from "../exit.ts";
import { rehearse } from "../import/stage.ts";
import { type Answers, checkAnswers } from "./answers.ts";
import type { DeviceRow } from "./devices.ts";
import { githubWorkflow } from "./github.ts";
import { gitlabPipeline } from "./gitlab.ts";
import { GIT_ATTRIBUTES, inventoryTexts, keepsLineEnds, stackText } from "./inventory-files.ts";
import type { PipelineInput } from "./pipeline.ts";

/** Where things go. */
export interface InitFolders {
  /** Root of the repository. */
  readonly root: string;
  /** Of the inventory, below the root. */
  readonly inventory: string;
  /** Of the GitOps tree, below the root. */
  readonly tree: string;
}

/** A file with what becomes of it. */
export interface PlannedFile {
  /** Below the root. */
  readonly path: string;
  readonly text: string;
  /** `conflict`: something else stands there. */
  readonly state: "create" | "unchanged" | "conflict";
}

/** The plan. */
export interface InitPlan {
  readonly files: readonly PlannedFile[];
  readonly tree: TreeChanges;
  /** Paths below the root that init will not touch, and so it writes nothing. */
  readonly conflicts: readonly string[];
  /** What works and is no good idea, one line each. */
  readonly warnings: readonly string[];
}

const SCHEMAS = "components/inventory/schema";
/** Defaults of the options and of the stacks' configuration. */
const DEFAULT_FOLDERS = { inventory: "stacks", tree: "fleet" } as const;
const HUB = "hub";
const BRANCH = "main";

/**
 * @param devices rows of each region's CSV file
 * @throws UsageError when answers contradict each other, or folders leave the root
 * @throws InventoryError when the result would not load
 */
export function planInit(
  answers: Answers,
  devices: ReadonlyMap<string, readonly DeviceRow[]>,
  folders: InitFolders,
): InitPlan {
  checkAnswers(answers);
  const inventory = below(folders.root, folders.inventory, "--inventory");
  const treeFolder = below(folders.root, folders.tree, "--tree");
  const schemas = existsSync(join(folders.root, SCHEMAS))
    ? relative(inventory, SCHEMAS).replaceAll("\\", "/")
    : undefined;
  const texts = inventoryTexts(answers, devices, treeFolder.replaceAll("\\", "/"), schemas);
  const files = new Map<string, string>([...texts].map(([name, text]) => [join(inventory, name), text]));
  const config = stackConfig(inventory, treeFolder);
  for (const stack of [HUB, ...answers.regions])
    files.set(join(stackFolder(folders.root, inventory), `Pulumi.${stack}.yaml`), stackText(stack, config));
  files.set(".gitattributes", GIT_ATTRIBUTES);
  for (const [path, text] of pipeline(answers, inventory, treeFolder)) files.set(path, text);
  const directory = join(folders.root, treeFolder);
  const { tree, warnings } = rehearse(join(folders.root, inventory), texts, (loaded) => {
    const input = fleetTree(loaded);
    return { tree: planTree(directory, renderTree(input)), warnings: describeRegionSizes(input.devices) };
  });
  const planned = [...files].map(([path, text]) => ({ path, text, state: stateOf(folders.root, path, text) }));
  return { files: planned, tree, conflicts: [...conflicts(planned), ...treeConflicts(tree, treeFolder)], warnings };
}

/** The folder as a path below the root. */
function below(root: string, folder: string, flag: string): string {
  const path = relative(root, join(root, folder));
  if (path === "" || path.startsWith(".."))
    throw new UsageError(`${flag} ${folder} is not a folder below ${root} - use e.g. ${DEFAULT_FOLDERS.inventory}`);
  return path;
}

/** Only what differs from the defaults of Pulumi.yaml. */
function stackConfig(inventory: string, tree: string): Record<string, string> {
  return {
    ...(inventory === DEFAULT_FOLDERS.inventory ? {} : { "edge-fleet:inventory": inventory }),
    ...(tree === DEFAULT_FOLDERS.tree ? {} : { "edge-fleet:tree": tree }),
  };
}

/** Pulumi reads the stacks' configuration from the folder that the project names. */
function stackFolder(root: string, inventory: string): string {
  const project = join(root, "Pulumi.yaml");
  if (!existsSync(project)) return inventory;
  const { stackConfigDir } = (parse(readFileSync(project, "utf8")) ?? {}) as { stackConfigDir?: string };
  return stackConfigDir ?? ".";
}

function pipeline({ ci, regions }: Answers, inventory: string, tree: string): Map<string, string> {
  const input: PipelineInput = {
    branch: BRANCH,
    regions,
    hub: HUB,
    inventoryOption: inventory === DEFAULT_FOLDERS.inventory ? "" : ` --inventory ${inventory}`,
    treeOption: tree === DEFAULT_FOLDERS.tree ? "" : ` --tree ${tree}`,
  };
  if (ci === "github") return new Map([[join(".github", "workflows", "edge-fleet.yml"), githubWorkflow(input)]]);
  return ci === "gitlab" ? new Map([[".gitlab-ci.yml", gitlabPipeline(input)]]) : new Map();
}

function stateOf(root: string, path: string, text: string): PlannedFile["state"] {
  const target = join(root, path);
  if (!existsSync(target)) return "create";
  const present = readFileSync(target, "utf8");
  return present === text || (path === ".gitattributes" && keepsLineEnds(present)) ? "unchanged" : "conflict";
}

function conflicts(files: readonly PlannedFile[]): string[] {
  return files.flatMap(({ path, state }) => (state === "conflict" ? [path] : []));
}

/** Init begins a tree; what changes or deletes a file of one is for `edge-fleet render`. */
function treeConflicts({ update, delete: removed, refused }: TreeChanges, folder: string): string[] {
  return [...update, ...removed, ...refused].map(({ path }) => join(folder, path));
}
