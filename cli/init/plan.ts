/**
 * What init would write and what stands in its way: files, each new, already there as it should be, or in the way.
 * Reads, never writes.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, posix, relative } from "node:path";
import {
  describeRegionSizes,
  MANIFEST_FILE,
  planTree,
  renderTree,
  type TreeChanges,
} from "../../components/gitops/index.ts";
import { fleetTree } from "../commands/tree-option.ts";
import { UsageError } from "../exit.ts";
import { rehearse } from "../import/stage.ts";
import { type Answers, checkAnswers } from "./answers.ts";
import type { DeviceRow } from "./devices.ts";
import { githubWorkflow } from "./github.ts";
import { gitlabPipeline } from "./gitlab.ts";
import { inventoryTexts, stackText } from "./inventory-files.ts";
import type { PipelineInput } from "./pipeline.ts";
import { type RepositoryFile, repositoryFiles } from "./repository.ts";

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

/** A file that init will not touch, and so it writes nothing. */
export interface Conflict {
  /** Below the root. */
  readonly path: string;
  /** How the file may stay; undefined where it may not. */
  readonly fix: string | undefined;
}

/** The plan. */
export interface InitPlan {
  readonly files: readonly PlannedFile[];
  readonly tree: TreeChanges;
  readonly conflicts: readonly Conflict[];
  /** What works and is no good idea, one line each. */
  readonly warnings: readonly string[];
}

/** Folder of the JSON Schemas once the package is installed, below the root. */
const SCHEMAS = "node_modules/edge-fleet/dist/components/inventory/schema";
/** Defaults of the options. */
const DEFAULT_FOLDERS = { inventory: "stacks", tree: "fleet" } as const;
/** Where each CI system reads its pipeline from. */
const PIPELINES = { github: ".github/workflows/edge-fleet.yml", gitlab: ".gitlab-ci.yml" } as const;
const HUB = "hub";
const BRANCH = "main";

/** A file as init writes it, and whether one that is there already may stay. */
type WantedFile = Omit<RepositoryFile, "fix"> & Partial<Pick<RepositoryFile, "fix">>;

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
  const { root } = folders;
  const { inventory, tree: treeFolder } = foldersBelow(folders);
  const texts = inventoryTexts(answers, devices, treeFolder, posix.relative(inventory, SCHEMAS));
  const files: WantedFile[] = [
    ...repositoryFiles(answers.name, { inventory, tree: treeFolder }),
    ...[...texts].map(([name, text]) => exactly(join(inventory, name), text)),
    ...[HUB, ...answers.regions].map((stack) => exactly(join(inventory, `Pulumi.${stack}.yaml`), stackText(stack))),
    ...pipeline(answers, inventory, treeFolder),
  ];
  const directory = join(root, treeFolder);
  const { tree, warnings } = rehearse(join(root, inventory), texts, (loaded) => {
    const input = fleetTree(loaded);
    return { tree: planTree(directory, renderTree(input)), warnings: describeRegionSizes(input.devices) };
  });
  const planned = files.map((file) => ({ path: file.path, text: file.text, state: stateOf(root, file) }));
  return { files: planned, tree, conflicts: [...inTheWay(root, files), ...treeConflicts(tree, treeFolder)], warnings };
}

/**
 * What stands in the way whatever the answers are, so that nobody answers questions for nothing: a fleet that is there
 * already, and files of another project.
 * @param ci the CI system, if a flag has told it
 * @throws UsageError when folders leave the root
 */
export function leftOvers(folders: InitFolders, ci: Answers["ci"] | undefined): Conflict[] {
  const { inventory, tree } = foldersBelow(folders);
  const data = [...["fleet.yaml", "models.yaml"].map((name) => join(inventory, name)), join(tree, MANIFEST_FILE)];
  const pipelines = Object.entries(PIPELINES).filter(([system]) => ci === undefined || ci === system);
  const begun = [
    ...data.map((path) => ({ path, fix: undefined })),
    ...pipelines.map(([, path]) => ({ path, fix: "--ci none keeps it" })),
  ];
  return [
    ...inTheWay(folders.root, repositoryFiles("", { inventory, tree })),
    ...begun.filter(({ path }) => existsSync(join(folders.root, path))),
  ];
}

/** A file that is either absent or exactly this. */
function exactly(path: string, text: string): WantedFile {
  return { path, text, suits: (present) => present === text };
}

/** The folders as paths below the root, in the notation of Git and of URLs. */
function foldersBelow({ root, inventory, tree }: InitFolders): { readonly inventory: string; readonly tree: string } {
  return { inventory: below(root, inventory, "--inventory"), tree: below(root, tree, "--tree") };
}

function below(root: string, folder: string, flag: string): string {
  const path = relative(root, join(root, folder));
  if (path === "" || path.startsWith(".."))
    throw new UsageError(`${flag} ${folder} is not a folder below ${root} - use e.g. ${DEFAULT_FOLDERS.inventory}`);
  return path.replaceAll("\\", "/");
}

function pipeline({ ci, regions }: Answers, inventory: string, tree: string): WantedFile[] {
  if (ci === "none") return [];
  const input: PipelineInput = {
    branch: BRANCH,
    regions,
    hub: HUB,
    inventory,
    inventoryOption: inventory === DEFAULT_FOLDERS.inventory ? "" : ` --inventory ${inventory}`,
    treeOption: tree === DEFAULT_FOLDERS.tree ? "" : ` --tree ${tree}`,
  };
  return [exactly(PIPELINES[ci], ci === "github" ? githubWorkflow(input) : gitlabPipeline(input))];
}

function stateOf(root: string, { path, suits }: WantedFile): PlannedFile["state"] {
  const target = join(root, path);
  if (!existsSync(target)) return "create";
  return suits(readFileSync(target, "utf8")) ? "unchanged" : "conflict";
}

function inTheWay(root: string, files: readonly WantedFile[]): Conflict[] {
  return files.filter((file) => stateOf(root, file) === "conflict").map(({ path, fix }) => ({ path, fix }));
}

/** Init begins a tree; what changes or deletes a file of one is for `edge-fleet render`. */
function treeConflicts({ update, delete: removed, refused }: TreeChanges, folder: string): Conflict[] {
  return [...update, ...removed, ...refused].map(({ path }) => ({ path: join(folder, path), fix: undefined }));
}
