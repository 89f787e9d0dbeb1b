/** Releases of Node other than the one that runs the tests, as the npm registry has them. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { cached, cacheRoot } from "./cache.ts";

const execute = promisify(execFile);

/**
 * The executable of a release, fetched once.
 * @param version e.g. `22.18.0`
 * @throws Error when npm cannot fetch it
 */
export async function nodeRelease(version: string): Promise<string> {
  const name = `node-${process.platform}-${process.arch}`;
  const fill = async (folder: string): Promise<void> => {
    await execute("npm", ["install", "--prefix", folder, "--ignore-scripts", "--no-save", `${name}@${version}`]);
  };
  const folder = await cached(cacheRoot(), `${name}-${version}`, fill, () => undefined);
  return join(folder, "node_modules", name, "bin", "node");
}
