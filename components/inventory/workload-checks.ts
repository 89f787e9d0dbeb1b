/**
 * Checks what fleet.yaml says of workloads, patches and projects against the rest of the inventory. What an engine or a
 * layout cannot do is refused here, so that it never means something else on some devices.
 */
import type { FieldPath } from "./problems.ts";
import { formatPath, formatProblem } from "./problems.ts";
import type { FleetFile } from "./schema.ts";
import type { Inventory, Profile } from "./types.ts";

type Workload = NonNullable<FleetFile["workloads"]>[number];
type Patch = NonNullable<FleetFile["patches"]>[number];

/** Something that is wrong with one entry. */
interface Problem {
  /** Below the entry; empty: the entry as a whole. */
  readonly field: FieldPath;
  readonly message: string;
}

/** What the overlays go by among the workloads (gitops/labels.ts), and their project. */
const OVERLAYS = "workloads";
const OVERLAYS_PROJECT = "edge-workloads";
/** Projects that edge-fleet keeps for itself. */
const OWN_PROJECTS = ["default", "edge-root"];
/** First folders of the paths that edge-fleet writes itself. */
const OWN_FOLDERS = ["applicationsets", "base", "components", "entry", "overlays", "rendered", "rings", "rollout"];
/** Longest value of a Kubernetes label, which the name of an Application may become. */
const MAX_NAME = 63;

/** Every problem of workloads, patches and projects, one line each. @param profiles those of all devices */
export function checkWorkloads(inventory: Inventory, profiles: readonly Profile[]): string[] {
  const { fleet, locate } = inventory;
  const devices = profiles.filter(({ state, joins }) => state === "present" && joins === undefined);
  const report = (entry: FieldPath, problems: readonly Problem[]) =>
    problems.map(({ field, message }) =>
      formatProblem(locate.fleet([...entry, ...field]), formatPath([...entry, ...field]), message),
    );
  return [
    ...(fleet.workloads ?? []).flatMap((workload, index) =>
      report(["workloads", index], checkWorkload(inventory, devices, workload, index)),
    ),
    ...(fleet.patches ?? []).flatMap((patch, index) => report(["patches", index], checkPatch(fleet, devices, patch))),
    ...Object.keys(fleet.projects ?? {}).flatMap((name) => report(["projects", name], checkProject(fleet, name))),
  ];
}

function checkWorkload(
  { fleet, models, regions }: Inventory,
  devices: readonly Profile[],
  workload: Workload,
  index: number,
): Problem[] {
  const { name, path, project } = workload;
  const [first = ""] = path.split("/");
  const long = devices.find(({ id }) => `${id}-${name}`.length > MAX_NAME);
  const known = { rings: fleet.rings, models: Object.keys(models), regions: [...regions.keys()] };
  const foreign = Object.entries(known).flatMap(([field, names]) =>
    (workload[field as keyof typeof known] ?? []).flatMap((wanted, at) => {
      const message = `${wanted} is not one of the fleet's - use one of ${names.join(", ")}`;
      return names.includes(wanted) ? [] : [{ field: [field, at], message }];
    }),
  );
  return [
    ...(name === OVERLAYS ? [{ field: ["name"], message: "is the name of the overlays - choose another one" }] : []),
    ...(fleet.workloads?.findIndex((other) => other.name === name) === index
      ? []
      : [{ field: ["name"], message: `${name} is listed twice - give it a name of its own` }]),
    ...(fleet.rings.includes(name)
      ? [{ field: ["name"], message: `${name} is a ring too - rename it: its ring files lie in rings/${name}/` }]
      : []),
    ...(project !== undefined && OWN_PROJECTS.includes(project)
      ? [{ field: ["project"], message: `${project} is edge-fleet's own - leave it out or name another one` }]
      : []),
    ...(OWN_FOLDERS.includes(first)
      ? [{ field: ["path"], message: `is edge-fleet's own - use a folder of yours, e.g. workloads/${name}` }]
      : []),
    ...(long === undefined
      ? []
      : [
          {
            field: ["name"],
            message: `the Application ${long.id}-${name} of device ${long.id} has more than ${MAX_NAME} characters - shorten one of both names`,
          },
        ]),
    ...foreign,
    ...checkChart(fleet, devices, workload),
  ];
}

/** A chart is rendered by Argo CD on the device. Flux would need its helm-controller, which no device gets. */
function checkChart(fleet: FleetFile, devices: readonly Profile[], workload: Workload): Problem[] {
  if (workload.type !== "helm" || workload.state === "removed") return [];
  const other = devices.find((device) => takes(device, workload) && device.gitops.engine === "flux");
  return [
    ...(fleet.git.layout === "rendered"
      ? [
          {
            field: ["type"],
            message: "git.layout rendered holds no charts - commit its manifests as a Kustomize folder",
          },
        ]
      : []),
    ...(other === undefined
      ? []
      : [
          {
            field: ["type"],
            message: `device ${other.id} has gitops.engine flux, which gets no helm-controller to render charts - exclude it, or commit the manifests as a Kustomize folder`,
          },
        ]),
  ];
}

function checkPatch(fleet: FleetFile, devices: readonly Profile[], patch: Patch): Problem[] {
  const workload = fleet.workloads?.find(({ name }) => name === patch.workload);
  if (patch.workload !== undefined && patch.workload !== OVERLAYS && workload === undefined)
    return [
      { field: ["workload"], message: `${patch.workload} is not one of fleet.yaml's - name one of its workloads` },
    ];
  if (workload?.type === "helm")
    return [
      { field: ["workload"], message: `${workload.name} is a chart - use \`values\` of the device, which it gets` },
    ];
  const ids = devices.map(({ id }) => id);
  const unknown = (patch.devices ?? []).flatMap((id, index) =>
    ids.includes(id)
      ? []
      : [{ field: ["devices", index], message: `${id} is no device with a cluster - correct the id` }],
  );
  const selected = devices.filter(
    (device) => (patch.devices?.includes(device.id) ?? true) && hasLabels(device, patch.labels),
  );
  const other = selected.find(({ gitops }) => gitops.engine !== "argocd" && gitops.engine !== "flux");
  if (other === undefined) return unknown;
  const message = `device ${other.id} has gitops.engine ${other.gitops.engine}, which takes no patch of single devices - use argocd or flux, or a model of its own`;
  return [...unknown, { field: [], message }];
}

function checkProject(fleet: FleetFile, name: string): Problem[] {
  const used = [OVERLAYS_PROJECT, ...(fleet.workloads ?? []).map(({ project = OVERLAYS_PROJECT }) => project)];
  if (used.includes(name)) return [];
  return [{ field: [], message: `no workload is in project ${name} - use one of ${[...new Set(used)].join(", ")}` }];
}

function takes(device: Profile, { regions, models, rings, labels }: Workload): boolean {
  const admits = (names: readonly string[] | undefined, name: string) => names?.includes(name) ?? true;
  return (
    admits(regions, device.region) &&
    admits(models, device.model) &&
    admits(rings, device.ring) &&
    hasLabels(device, labels)
  );
}

function hasLabels({ labels }: Profile, wanted: Readonly<Record<string, string>> = {}): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}
