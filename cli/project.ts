/** The project that a command works on: like Git, it is that of the nearest folder upwards, whatever folder one stands in. */
import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** What makes a folder a project; the `pulumi` CLI looks for it upwards too. */
const MARK = "Pulumi.yaml";

/**
 * Path of a file or folder of the project, relative to the folder that one stands in.
 * @param name its path in the project
 * @param start where one stands. Default: the current folder. Where no project is above it, it is the project
 */
export function projectPath(name: string, start: string = process.cwd()): string {
  let folder = start;
  while (!existsSync(join(folder, MARK))) {
    const parent = dirname(folder);
    if (parent === folder) return name;
    folder = parent;
  }
  return join(relative(start, folder), name);
}
