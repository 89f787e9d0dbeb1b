/** Which program is argocd-agent in the tests. */
import { join } from "node:path";
import { findOnPath } from "../toolchain/build.ts";

/** A program and its first arguments. */
export interface AgentProgram {
  readonly command: string;
  readonly args: readonly string[];
  /** It is argocd-agent itself. */
  readonly real: boolean;
}

/**
 * One of two releases: `argocd-agent` on PATH is the first and, where there is no `argocd-agent-next`, the other one too;
 * without it a stand-in is both.
 * @param release `0.10.0`, or another one
 */
export function agentProgram(release: string): AgentProgram {
  const first = findOnPath("argocd-agent");
  const next = release === "0.10.0" ? undefined : findOnPath("argocd-agent-next");
  if (first !== undefined) return { command: next ?? first, args: [], real: true };
  const standin = join(import.meta.dirname, "agent-standin.ts");
  return { command: process.execPath, args: [standin, release], real: false };
}
