/**
 * The inventory of a lab fleet: from devices and settings to the files of `stacks/` and to the artifacts that its lock names,
 * on the lab's artifact server.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { DeviceArchitecture, DeviceLab, DeviceMode } from "./devices/types.ts";
import { k3sApiStandin, k3sStandin } from "./standins/index.ts";
import { argocdManifests } from "./toolchain/index.ts";

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
 * @param artifacts folder and URL of the artifact server
 */
export async function writeInventory(
  inventory: string,
  { folder: artifacts, url: artifactsUrl }: { readonly folder: string; readonly url: string },
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
    devices: devices.map(({ id, model, ring }) => {
      const { host, port } = addresses.get(id) ?? { host: "", port: 0 };
      return { id, host, model, ring, ssh: { port } };
    }),
  });
  const published = (release: string, fault?: "never-ready") =>
    [
      release,
      lockK3s(release, artifacts, artifactsUrl, { readySeconds, ...(fault === undefined ? {} : { fault }) }),
    ] as const;
  const pods = publish(K3S_PODS, k3sApiStandin(K3S_PODS), artifacts, artifactsUrl);
  const k3s = [
    ...K3S_VERSIONS.map((release) => published(release)),
    published(K3S_BROKEN, "never-ready"),
    [K3S_PODS, { amd64: pods, arm64: pods }],
  ];
  const lockFile = (path: string) => ({ url: join(directory, path), sha256: sha256File(join(directory, path)) });
  const known = devices.some(({ model }) => runsPods(model));
  const image = (repository: string, tag: string) => {
    const name = known ? repository : `lab.invalid/absent/${repository.split("/").at(-1)}`;
    return `${name}:${known ? tag : "v1"}@sha256:${sha256(repository + tag)}`;
  };
  const definition = (kind: string) => {
    const path = `crds/${kind}-crd.yaml`;
    return publish(`${kind}-crd.yaml`, readFileSync(join(directory, path), "utf8"), artifacts, artifactsUrl);
  };
  write("artifacts.lock.yaml", {
    k3s: Object.fromEntries(k3s),
    argocd: {
      [version]: {
        crds: ["application", "applicationset", "appproject"].map(definition),
        controlPlane: lockFile("namespace-install.yaml"),
        images: {
          argocd: image("quay.io/argoproj/argocd", version),
          redis: image("public.ecr.aws/docker/library/redis", "8.2.2-alpine"),
        },
      },
    },
  });
}

/** Publishes the stand-in of one K3s release for both architectures and returns its lock entry. */
function lockK3s(release: string, folder: string, baseUrl: string, options: Parameters<typeof k3sStandin>[1]) {
  const file = publish(release, k3sStandin(release, options), folder, baseUrl);
  return { amd64: file, arm64: file };
}

/** Puts a file on the artifact server and returns its lock entry. */
function publish(release: string, content: string, folder: string, baseUrl: string) {
  const name = release.endsWith(".yaml") ? release : `k3s-${release.replace("+", "-")}`;
  writeFileSync(join(folder, name), content);
  return { url: `${baseUrl}/${name}`, sha256: sha256(content), size: Buffer.byteLength(content) };
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function sha256File(path: string): string {
  return sha256(readFileSync(path));
}
