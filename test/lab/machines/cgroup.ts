/**
 * Control groups of machines: a group of its own for each, in cgroup v2 whatever the host has mounted, and none left
 * behind. The groups are named after the lab, so that labs side by side leave each other's alone.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const MOUNT = "/sys/fs/cgroup";

/** Variable that names the lab for the process inside its namespaces. */
const LAB_VARIABLE = "EDGE_FLEET_MACHINES_LAB";

const PREFIX = "edge-fleet-machine-";

/** Minutes after which an empty group of another lab counts as forgotten: that lab was killed. */
const FORGOTTEN_MINUTES = 5;

/** Names this lab, and removes its groups when this process exits, also those of labs that were killed. */
export function ownGroups(): void {
  const lab = `${process.pid}-${Date.now()}`;
  process.env[LAB_VARIABLE] = lab;
  process.on("exit", () => sweep(lab));
}

/** Mounts cgroup v2 over whatever the host has at {@link MOUNT}, inside the lab's mount namespace alone. */
export function mountUnified(): void {
  execFileSync("mount", ["--no-mtab", "-t", "cgroup2", "cgroup2", MOUNT]);
}

/** Makes a machine's group and returns its folder. */
export function makeGroup(id: string): string {
  const folder = join(MOUNT, `${PREFIX}${process.env[LAB_VARIABLE] ?? "lab"}-${id}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Removes a group in which no process is left, with the groups below it. */
export function removeGroup(folder: string): void {
  execFileSync("find", [folder, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
}

/** In a mount namespace of its own, since a host may not have cgroup v2 mounted. */
function sweep(lab: string): void {
  const find = `find . -maxdepth 1 -type d \\( -name '${PREFIX}${lab}-*' -o -name '${PREFIX}*' -mmin +${FORGOTTEN_MINUTES} \\)`;
  const remove = `${find} | while read -r group; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :; done`;
  const script = `mount --no-mtab -t cgroup2 cgroup2 ${MOUNT} && cd ${MOUNT} && ${remove}`;
  execFileSync("unshare", ["--mount", "sh", "-c", script]);
}
