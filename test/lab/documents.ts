/** The commands that a document shows: those of its `sh` blocks, in order. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const REPOSITORY = join(import.meta.dirname, "../..");

/** One block of commands. */
export interface ShellBlock {
  /** The heading that it stands below. */
  readonly section: string;
  /** Commands as they are typed: without comments, with continued lines joined. */
  readonly commands: readonly string[];
}

/** Reads a document. @param path of the file in the repository */
export function shellBlocks(path: string): ShellBlock[] {
  const text = readFileSync(join(REPOSITORY, path), "utf8");
  return [...text.matchAll(/^( *)```sh\n(.*?)^\1```$/gms)].map(({ 2: body = "", index }) => {
    const [, section = ""] = [...text.slice(0, index).matchAll(/^#+ (.*)$/gm)].at(-1) ?? [];
    return { section, commands: commandsOf(body) };
  });
}

function commandsOf(body: string): string[] {
  return body
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "");
}
