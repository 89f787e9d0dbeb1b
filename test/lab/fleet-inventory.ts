/**
 * The inventory of a lab fleet: the files of `stacks/`, and the artifacts that its lock names, on the lab's artifact
 * server.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { FLUX_PARTS, fluxDefinitionFile } from "../../components/gitops/engine/flux/settings.ts";
import type { DeviceArchitecture, DeviceLab, DeviceMode } from "./devices/types.ts";
import { k3sApiStandin, k3sStandin } from "./standins/index.ts";
import { argocdManifests, fluxDefinition } from "./toolchain/index.ts";

/** Release of Flux' controllers that devices get by default. */
const FLUX = "v1.9.1";

/** Name of the lab's one region and of its stack. */
export const REGION = "loopback";
/** K3s releases that the lab's artifact server has. */
export const K3S_VERSIONS = ["v1.36.2+k3s1", "v1.36.3+k3s1"] as const;
/** One that it has too and that never becomes ready. */
export const K3S_BROKEN = "v1.36.5+k3s1";
/** One whose API is real and which runs pods, see `standins/images.ts`; that of the models that begin with `pod`. */
export const K3S_PODS = "v1.36.2+k3s2";

const MACHINE = process.arch === "arm64" ? "arm64" : "amd64";

/** Hardware classes of the lab. */
export const MODELS = {
  "rpi4-4g": { architecture: "arm64", memory: "4Gi" },
  "iot-2g": { architecture: "arm64", memory: "2Gi", gitops: { engine: "flux" } },
  "nuc-4g": { architecture: "amd64", memory: "4Gi" },
  "pod-2g": { architecture: MACHINE, memory: "2Gi", k3s: { version: K3S_PODS } },
  "pod-4g": { architecture: MACHINE, memory: "4Gi", k3s: { version: K3S_PODS } },
  "pod-8g": { architecture: MACHINE, memory: "8Gi", k3s: { version: K3S_PODS } },
} as const satisfies Record<
  string,
  { architecture: DeviceArchitecture; memory: string; gitops?: unknown; k3s?: unknown }
>;

/** Whether devices of a model run pods. */
export function runsPods(model: keyof typeof MODELS): boolean {
  return model.startsWith("pod");
}

/** One device of the lab's region. */
export interface LabDeviceRequest {
  readonly id: string;
  readonly model: keyof typeof MODELS;
  readonly ring: "canary" | "early" | "broad";
  /** Not in the inventory: for a region that comes later. Default false. */
  readonly spare?: boolean;
  /** How it answers at the start. Default up. */
  readonly mode?: DeviceMode;
}

/** What an inventory of the lab says. */
export interface LabInventory {
  readonly devices: readonly LabDeviceRequest[];
  /** Start a hub API server. Default true; benchmarks of devices alone do without. */
  readonly withHub?: boolean;
  /** Seconds that the K3s stand-in takes to become ready. Default 1. */
  readonly readySeconds?: number;
  /** `readiness.timeoutSeconds` of the fleet. Default 30. */
  readonly readinessTimeoutSeconds?: number;
  /** The fleet's Git repository, and how its devices log in to it. Default: one that nobody reads. */
  readonly git?: { readonly url: string; readonly access?: object };
  /** `gitops` of the fleet. Default: its own. */
  readonly gitops?: object;
  /** Further settings of fleet.yaml. Default: none. */
  readonly settings?: object;
}

/**
 * Writes the inventory of the lab's one region, and publishes what its lock names.
 * @param inventory folder of the inventory
 * @param server folder and URL of the artifact server
 */
export async function writeInventory(
  inventory: string,
  server: Server,
  options: LabInventory,
  lab: DeviceLab,
): Promise<void> {
  const { devices, withHub = true, readySeconds = 1, readinessTimeoutSeconds = 30 } = options;
  const { version, directory } = await argocdManifests();
  const { url, access } = options.git ?? { url: "https://git.example.com/lab/edge-fleet.git" };
  const gitops = options.gitops ?? {};
  const write = (name: string, value: unknown) => writeFileSync(join(inventory, name), stringify(value));
  write("fleet.yaml", {
    fleet: "lab",
    git: { url },
    gitops: { ...gitops, ...(access === undefined ? {} : { access }) },
    rings: ["canary", "early", "broad"],
    hub: withHub ? { argocd: { version } } : "none",
    k3s: { version: K3S_VERSIONS[0] },
    readiness: { timeoutSeconds: readinessTimeoutSeconds },
    ...options.settings,
  });
  write("models.yaml", MODELS);
  const addresses = new Map(lab.devices.map(({ id, host, port }) => [id, { host, port }]));
  write(`${REGION}.yaml`, {
    region: REGION,
    devices: devices
      .filter(({ spare }) => spare !== true)
      .map(({ id, model, ring }) => {
        const { host, port } = addresses.get(id) ?? { host: "", port: 0 };
        return { id, host, model, ring, ssh: { port } };
      }),
  });
  const pods = devices.some(({ model }) => runsPods(model));
  write("artifacts.lock.yaml", {
    k3s: lockReleases(server, readySeconds),
    argocd: { [version]: lockArgoCd(server, pods, version, directory) },
    flux: await lockFlux(server, pods),
  });
}

/** The artifact server: what it serves, and where. */
interface Server {
  readonly folder: string;
  readonly url: string;
}

/** Publishes the stand-ins of all releases of K3s and returns their lock entries. */
function lockReleases(server: Server, readySeconds: number): object {
  const both = (release: string, content: string) => {
    const file = publish(server, `k3s-${release.replace("+", "-")}`, content);
    return [release, { amd64: file, arm64: file }] as const;
  };
  return Object.fromEntries([
    ...K3S_VERSIONS.map((release) => both(release, k3sStandin(release, { readySeconds }))),
    both(K3S_BROKEN, k3sStandin(K3S_BROKEN, { readySeconds, fault: "never-ready" })),
    both(K3S_PODS, k3sApiStandin(K3S_PODS)),
  ]);
}

/** Publishes Flux' definitions. Devices that run no pods get a line in their place, and images that no device has. */
async function lockFlux(server: Server, pods: boolean): Promise<object> {
  const entries = (Object.keys(FLUX_PARTS) as (keyof typeof FLUX_PARTS)[]).map(async (part) => {
    const { name, kinds } = FLUX_PARTS[part];
    const repository = pods ? `ghcr.io/fluxcd/${name}:${FLUX}` : `lab.invalid/absent/${name}:v1`;
    const crds = kinds.map(async (kind) => {
      const file = fluxDefinitionFile(FLUX_PARTS[part], kind);
      return publish(server, file, pods ? await fluxDefinition(name, file) : `# Stand-in of the lab for ${file}.\n`);
    });
    return [
      part,
      { [FLUX]: { crds: await Promise.all(crds), image: `${repository}@sha256:${sha256(name)}` } },
    ] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** Publishes Argo CD's definitions. Without devices that run pods its images are ones that no device has. */
function lockArgoCd(server: Server, pods: boolean, version: string, manifests: string): object {
  const image = (repository: string, tag: string) => {
    const name = pods ? `${repository}:${tag}` : `lab.invalid/absent/${repository.split("/").at(-1)}:v1`;
    return `${name}@sha256:${sha256(repository + tag)}`;
  };
  const read = (path: string) => readFileSync(join(manifests, path), "utf8");
  const install = "namespace-install.yaml";
  return {
    crds: ["application", "applicationset", "appproject"].map((kind) =>
      publish(server, `${kind}-crd.yaml`, read(`crds/${kind}-crd.yaml`)),
    ),
    controlPlane: { url: join(manifests, install), sha256: sha256(read(install)) },
    images: {
      argocd: image("quay.io/argoproj/argocd", version),
      redis: image("public.ecr.aws/docker/library/redis", "8.2.2-alpine"),
    },
  };
}

/** Puts a file on the artifact server and returns its lock entry. */
function publish({ folder, url }: Server, name: string, content: string) {
  writeFileSync(join(folder, name), content);
  return { url: `${url}/${name}`, sha256: sha256(content), size: Buffer.byteLength(content) };
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
