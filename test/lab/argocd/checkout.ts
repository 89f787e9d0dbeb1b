/** A repository of the lab and the work tree from which it gets its commits. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

const IDENTITY = ["-c", "user.name=lab", "-c", "user.email=lab@example.com", "-c", "commit.gpgsign=false"];

/** Makes the bare repository `repositories/fleet.git` below a folder, and its work tree. */
export function initRepository(directory: string): void {
  const bare = join(directory, "repositories", "fleet.git");
  const checkout = join(directory, "checkout");
  execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", bare]);
  execFileSync("git", ["init", "--quiet", "--initial-branch=main", checkout]);
  runGit(checkout, ["remote", "add", "origin", bare]);
}

/** Runs git in a work tree. */
export function runGit(checkout: string, args: readonly string[]): string {
  return execFileSync("git", ["-C", checkout, ...IDENTITY, ...args], { encoding: "utf8" });
}

/** Commits a work tree and pushes it. @returns the commit's full SHA */
export function pushAll(checkout: string, message: string): string {
  runGit(checkout, ["add", "--all"]);
  runGit(checkout, ["commit", "--quiet", "--allow-empty", "-m", message]);
  runGit(checkout, ["push", "--quiet", "origin", "HEAD:main"]);
  return runGit(checkout, ["rev-parse", "HEAD"]).trim();
}
