/** What must hold before a tree can be rendered: devices and workloads that would overwrite each other are refused. */
import { applicationName, OVERLAY_WORKLOAD } from "./labels.ts";
import type { TreeInput, TreeWorkload } from "./tree-input.ts";

/** Longest value of a Kubernetes label, which the name of an Application may become. */
const MAX_NAME = 63;
/** The first folders of the paths that edge-fleet writes itself. */
const OWN_FOLDERS: ReadonlySet<string> = new Set(["applicationsets", "components", "overlays", "rendered", "rings"]);

/** @throws Error naming the device or workload, what is wrong with it and the mend */
export function checkTree(fleet: TreeInput): void {
  checkDevices(fleet);
  const names = new Set<string>([OVERLAY_WORKLOAD]);
  for (const workload of fleet.workloads ?? []) {
    if (names.has(workload.name))
      throw new Error(
        `workload ${workload.name}: ${workload.name === OVERLAY_WORKLOAD ? "is the name of the overlays" : "is listed twice"} - give it a name of its own`,
      );
    names.add(workload.name);
    checkWorkload(fleet, workload);
  }
}

function checkDevices({ devices, rings, models }: TreeInput): void {
  const seen = new Set<string>();
  for (const { id, ring, model } of devices) {
    if (seen.has(id)) throw new Error(`device ${id} is listed twice - give each device an id of its own`);
    if (!rings.includes(ring))
      throw new Error(`device ${id}: ring ${ring} is not one of the fleet's - use one of ${rings.join(", ")}`);
    if (!Object.hasOwn(models, model))
      throw new Error(`device ${id}: model ${model} is unknown - use one of ${Object.keys(models).join(", ")}`);
    seen.add(id);
  }
}

function checkWorkload({ devices, rings }: TreeInput, { name, path, project, rings: only = [] }: TreeWorkload): void {
  const foreign = only.find((ring) => !rings.includes(ring));
  if (foreign !== undefined)
    throw new Error(`workload ${name}: ring ${foreign} is not one of the fleet's - use one of ${rings.join(", ")}`);
  if (rings.includes(name))
    throw new Error(`workload ${name}: is the name of a ring too - rename it: its ring files lie in rings/${name}/`);
  if (project === "default")
    throw new Error(`workload ${name}: project default may deploy nothing - leave project out or name another one`);
  const [first = ""] = path.split("/");
  if (OWN_FOLDERS.has(first))
    throw new Error(
      `workload ${name}: path ${path} is edge-fleet's own - use a folder of yours, e.g. workloads/${name}`,
    );
  const long = devices.find(({ id }) => applicationName(id, name).length > MAX_NAME);
  if (long !== undefined)
    throw new Error(
      `workload ${name}: the Application ${applicationName(long.id, name)} of device ${long.id} has more than ` +
        `${MAX_NAME} characters - shorten the workload's name or the device's id`,
    );
}
