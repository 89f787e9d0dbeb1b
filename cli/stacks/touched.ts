/**
 * Which stacks a change touches, by the names of the changed files, so that a pull request previews those alone. What
 * cannot be told from a name touches all of them. Pure.
 */
import { posix } from "node:path";

/** What the names are compared with; paths are below the root of the project, with `/` between. */
export interface TouchedInput {
  /** Changed files. */
  readonly files: readonly string[];
  /** Stack of the hub; undefined where the fleet has none. */
  readonly hub: string | undefined;
  readonly regions: readonly string[];
  /** Folder of the inventory. */
  readonly inventory: string;
}

/** Files beside the inventory that a stack's program is made of. All else is documents, pipelines, and the tree that devices pull. */
const PROGRAM = ["Pulumi.yaml", "index.ts", "package.json", "package-lock.json", "tsconfig.json"];

/** The touched stacks, the hub first; the hub is touched by whatever touches a region, as it holds the region's objects. */
export function touchedStacks({ files, hub, regions, inventory }: TouchedInput): string[] {
  const touching = files.filter((file) => PROGRAM.includes(file) || file.startsWith(`${inventory}/`));
  const owners = touching.map((file) => ownerOf(file, [...regions, ...(hub === undefined ? [] : [hub])]));
  const touched = regions.filter((region) => owners.some((owner) => owner === undefined || owner === region));
  return [...(hub === undefined || touching.length === 0 ? [] : [hub]), ...touched];
}

/** `tokyo` of `stacks/tokyo.csv`, `stacks/tokyo.lock.yaml` and `stacks/Pulumi.tokyo.yaml`. */
function ownerOf(file: string, stacks: readonly string[]): string | undefined {
  const [name = ""] = posix
    .basename(file)
    .replace(/^Pulumi\./, "")
    .split(".");
  return stacks.includes(name) ? name : undefined;
}
