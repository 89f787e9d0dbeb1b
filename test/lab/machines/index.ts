/**
 * The way into the lab of machines: makes their root file systems, then goes on inside namespaces with cgroup v2, so that
 * every process, mount and network ends with this process, also after Ctrl-C and SIGKILL.
 */
import { mkdirSync } from "node:fs";
import { enterNamespaces, insideNamespaces } from "../namespace.ts";
import { mountUnified, ownGroups } from "./cgroup.ts";
import { MACHINES, type MachineRoot } from "./plan.ts";
import { ensureRoot } from "./root.ts";

export { Machine, type MachineCommand, type RunningCommand } from "./machine.ts";
export { MACHINE_USER, type MachineInit, type MachineRequest } from "./plan.ts";

/** All that machines are made of. */
export const MACHINE_ROOTS: readonly MachineRoot[] = ["systemd", "openrc", "pods"];

/**
 * Runs the rest of the current script where machines can be started; see {@link enterNamespaces}. Call it first.
 * @param roots that are needed; `pods` alone, since where its machines run others see another cgroup
 * @throws Error when this is not root, a tool is missing or the kernel refuses
 */
export async function enterMachines(roots: readonly MachineRoot[]): Promise<void> {
  if (!insideNamespaces()) {
    await Promise.all(roots.map((root) => ensureRoot(root, (line) => process.stderr.write(`${line}\n`))));
    ownGroups();
  }
  await enterNamespaces();
  if (!roots.includes("pods")) mountUnified();
  mkdirSync(MACHINES);
}
