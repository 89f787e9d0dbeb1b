/**
 * The way into the lab of machines: makes their root file systems, then goes on inside namespaces with cgroup v2, so that
 * every process, mount and network ends with this process, also after Ctrl-C and SIGKILL.
 */
import { mkdirSync } from "node:fs";
import { enterNamespaces, insideNamespaces } from "../namespace.ts";
import { mountUnified, ownGroups } from "./cgroup.ts";
import { MACHINES, type MachineInit } from "./plan.ts";
import { ensureRoot } from "./root.ts";

export { Machine, type MachineCommand, type RunningCommand } from "./machine.ts";
export { MACHINE_USER, type MachineInit, type MachineRequest } from "./plan.ts";

/** All inits that machines are made with. */
export const MACHINE_INITS: readonly MachineInit[] = ["systemd", "openrc"];

/**
 * Runs the rest of the current script where machines can be started; see {@link enterNamespaces}. Call it first.
 * @param inits whose root file systems are needed
 * @throws Error when this is not root, a tool is missing or the kernel refuses
 */
export async function enterMachines(inits: readonly MachineInit[]): Promise<void> {
  if (!insideNamespaces()) {
    await Promise.all(inits.map((init) => ensureRoot(init, (line) => process.stderr.write(`${line}\n`))));
    ownGroups();
  }
  await enterNamespaces();
  mountUnified();
  mkdirSync(MACHINES);
}
