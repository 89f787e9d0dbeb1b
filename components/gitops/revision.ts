/** What Git knows of the tree's folder, asked through the `git` command: the commit that is checked out. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);
/** What git says, in its C locale, when the question has no answer; anything else is a fault. */
const NOTHING_THERE = /not a git repository|cannot change to|Not a valid object name|not a tree object|bad object/;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Full SHA of the commit that is checked out in the repository around the folder.
 * @returns undefined when the folder does not exist, is in no repository, or the repository has no commit
 * @throws Error when `git` cannot be run, or its object format is not SHA-1 (Argo CD knows 40-digit revisions only)
 */
export async function headRevision(directory: string): Promise<string | undefined> {
  const output = await git(directory, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]);
  const revision = output?.trim();
  if (revision !== undefined && !/^[0-9a-f]{40}$/.test(revision))
    throw new Error(`${directory}: HEAD is ${revision}, not a 40-digit SHA - use a repository with SHA-1 objects`);
  return revision;
}

/** Output of a git command, undefined when there is no folder, no repository or no such object. */
async function git(directory: string, args: readonly string[]): Promise<string | undefined> {
  // GIT_DIR and its kin, set by Git for its hooks, would override the folder.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_"));
  try {
    const { stdout } = await execute("git", ["-C", directory, ...args], {
      env: { ...Object.fromEntries(inherited), LC_ALL: "C" },
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return stdout;
  } catch (cause) {
    const { code, stderr = "" } = cause as { code?: string | number; stderr?: string };
    if (code === "ENOENT") throw new Error("git cannot be run - install git and put it on PATH", { cause });
    if (stderr === "" || NOTHING_THERE.test(stderr)) return undefined;
    throw new Error(`${directory}: git ${args[0]} failed: ${stderr.trim().split("\n", 1)[0]} - mend it and run again`, {
      cause,
    });
  }
}
