/**
 * Control groups of machines: a group of its own for each, in cgroup v2 whatever the host has mounted, and none left
 * behind. A machine that runs pods needs controllers, which are in v1 on some hosts: there it has a group in each. The groups
 * are named after the lab, so that labs side by side leave each other's alone.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
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

/** Whether the host has its controllers in cgroup v2, as the lab sees it. */
export function isUnified(): boolean {
  return existsSync(join(MOUNT, "cgroup.controllers"));
}

/**
 * Makes a machine's groups and returns their folders.
 * @param controllers whether it needs a group for each controller that the host has in v1
 */
export function makeGroups(id: string, controllers: boolean): string[] {
  const name = `${PREFIX}${process.env[LAB_VARIABLE] ?? "lab"}-${id}`;
  if (controllers && isUnified()) writeFileSync(join(MOUNT, "cgroup.subtree_control"), "+cpuset +cpu +memory +pids");
  const parents = controllers && !isUnified() ? readdirSync(MOUNT).filter((each) => each !== "unified") : ["."];
  return parents.map((parent) => {
    const folder = join(MOUNT, parent, name);
    mkdirSync(folder, { recursive: true });
    // A new group of v1 has no processor and no memory node, and takes no process.
    if (parent === "cpuset")
      for (const file of ["cpuset.cpus", "cpuset.mems"])
        writeFileSync(join(folder, file), readFileSync(join(MOUNT, parent, file)));
    return folder;
  });
}

/** Removes a group in which no process is left, with the groups below it. */
export function removeGroup(folder: string): void {
  execFileSync("find", [folder, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
}

/** In v1 as the host has it; then in v2, in a mount namespace of its own, since a host may not have it mounted. */
function sweep(lab: string): void {
  const find = `find . -maxdepth 2 -type d \\( -name '${PREFIX}${lab}-*' -o -name '${PREFIX}*' -mmin +${FORGOTTEN_MINUTES} \\)`;
  const remove = `${find} | while read -r group; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :; done`;
  const script = `cd ${MOUNT} && ${remove}; mount --no-mtab -t cgroup2 cgroup2 ${MOUNT} && cd ${MOUNT} && ${remove}`;
  execFileSync("unshare", ["--mount", "sh", "-c", script]);
}
