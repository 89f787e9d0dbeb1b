/**
 * A whole fleet on this machine: loopback devices, a hub API server, an artifact server, an inventory that describes
 * them, and the real `pulumi` and `edge-fleet` commands pointed at all of it. The demo, the engine tests and the
 * benchmarks run on it. Everything lives in the lab's own namespaces and ends with them.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Document, parseDocument, stringify } from "yaml";
import { deviceProgram, PROGRAM_PATH } from "../../components/device/program.ts";
import { startArtifactServer } from "./devices/artifacts.ts";
import { startDevices } from "./devices/lab.ts";
import type { DeviceArchitecture, DeviceLab, DeviceMode } from "./devices/types.ts";
import { startHub } from "./hub/index.ts";
import { type CommandResult, runCommand } from "./run-command.ts";
import { k3sStandin } from "./standins/index.ts";
import { argocdManifests, type Toolchain } from "./toolchain/index.ts";

const REPOSITORY = join(import.meta.dirname, "../..");
/** Name of the lab's one region and of its stack. */
export const REGION = "loopback";
/** Passphrase of the lab's stacks, distinctive enough to be looked for in what must not hold it. */
export const PASSPHRASE = "loopback-lab-passphrase";
/** K3s releases that the lab's artifact server has. */
export const K3S_VERSIONS = ["v1.36.2+k3s1", "v1.36.3+k3s1"] as const;
/** One that it has too and that never becomes ready. */
export const K3S_BROKEN = "v1.36.5+k3s1";

/** One device of the lab's region. */
export interface LabDeviceRequest {
  readonly id: string;
  readonly model: keyof typeof MODELS;
  readonly ring: "canary" | "early" | "broad";
  /** How it answers at the start. Default up. */
  readonly mode?: DeviceMode;
}

/** What the lab fleet is to consist of. */
export interface LabFleetOptions {
  readonly toolchain: Toolchain;
  readonly devices: readonly LabDeviceRequest[];
  /** Start a hub API server. Default true; benchmarks of devices alone do without. */
  readonly withHub?: boolean;
  /** Seconds that the K3s stand-in takes to become ready. Default 1. */
  readonly readySeconds?: number;
  /** Have the device program installed already, as on devices that were enrolled before. Default false. */
  readonly withProgram?: boolean;
  /** `readiness.timeoutSeconds` of the fleet. Default 30. */
  readonly readinessTimeoutSeconds?: number;
}

/** A running lab fleet. */
export interface LabFleet {
  /** Folder of everything below. */
  readonly directory: string;
  /** Inventory folder. */
  readonly inventory: string;
  /** A path inside the project's folder. */
  path(name: string): string;
  /** The GitOps tree that `up` writes. */
  readonly tree: string;
  readonly devices: DeviceLab;
  /** Admin kubeconfig of the hub, where one runs. */
  readonly kubeconfig: string | undefined;
  /** Environment in which `pulumi`, `edge-fleet`, `ssh` and `kubectl` see the lab. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs `pulumi` in the repository, e.g. `["preview", "--stack", "loopback"]`. */
  pulumi(args: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** Runs the `edge-fleet` command on the lab's inventory. */
  edgeFleet(args: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** Outputs of a stack. */
  outputs<T>(stack: string): Promise<T>;
  /** Changes a file of the inventory as an operator would, e.g. `edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], "..."))`. */
  edit(name: string, change: (file: Document) => void): void;
  /** Ends the hub alone, as an outage would. */
  stopHub(): Promise<void>;
  stop(): Promise<void>;
}

/** How a command of the lab is run. */
export interface RunOptions {
  /** Environment to add. */
  readonly env?: Readonly<Record<string, string>>;
  /** Receives output as it comes. */
  readonly onOutput?: (text: string) => void;
  /** Standard input. Default: nothing. */
  readonly input?: string;
}

const MODELS = {
  "rpi4-4g": { architecture: "arm64", memory: "4Gi" },
  "iot-2g": { architecture: "arm64", memory: "2Gi", gitops: { engine: "flux" } },
  "nuc-4g": { architecture: "amd64", memory: "4Gi" },
} as const satisfies Record<string, { architecture: DeviceArchitecture; memory: string; gitops?: unknown }>;

/** Starts everything. Call inside the lab's namespaces. */
export async function startLabFleet(options: LabFleetOptions): Promise<LabFleet> {
  const directory = mkdtempSync("/run/edge-fleet-lab-");
  const project = join(directory, "project");
  const inventory = join(project, "stacks");
  for (const name of ["artifacts", "state", "devices", "hub", "pulumi-home"]) mkdirSync(join(directory, name));
  createProject(project);
  const devices = await startDevices({
    directory: join(directory, "devices"),
    devices: options.devices.map(({ id, model }) => ({ id, architecture: MODELS[model].architecture })),
    mode: Object.fromEntries(options.devices.map(({ id, mode = "up" }) => [id, mode])),
    files: options.withProgram === true ? [{ path: PROGRAM_PATH, content: deviceProgram().text, mode: 0o755 }] : [],
  });
  const artifacts = await startArtifactServer({ directory: join(directory, "artifacts") });
  const hub =
    options.withHub === false
      ? undefined
      : await startHub({ toolchain: options.toolchain, directory: join(directory, "hub") });
  await writeInventory(inventory, join(directory, "artifacts"), options, devices, artifacts.url);
  writeStackConfig(inventory);
  const env = {
    ...options.toolchain.env,
    SSH_AUTH_SOCK: devices.agentSocket,
    PULUMI_HOME: join(directory, "pulumi-home"),
    PULUMI_BACKEND_URL: `file://${join(directory, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    ...(hub === undefined ? {} : { KUBECONFIG: hub.kubeconfigPath }),
  };
  const fleet = commands(project, inventory, env);
  for (const stack of ["hub", REGION]) await initStack(fleet, stack);
  return {
    directory,
    inventory,
    path: (name) => join(project, name),
    tree: join(project, "fleet"),
    devices,
    kubeconfig: hub?.kubeconfigPath,
    env,
    ...fleet,
    edit: (name, change) => editYaml(join(inventory, name), change),
    stopHub: async () => hub?.stop(),
    stop: async () => {
      await Promise.all([devices.stop(), artifacts.stop(), hub?.stop()]);
    },
  };
}

function editYaml(path: string, change: (file: Document) => void): void {
  const file = parseDocument(readFileSync(path, "utf8"));
  change(file);
  writeFileSync(path, file.toString({ lineWidth: 0 }));
}

type Commands = Pick<LabFleet, "pulumi" | "edgeFleet" | "outputs">;

function commands(project: string, inventory: string, env: Readonly<Record<string, string>>): Commands {
  const run = (command: string, args: readonly string[], { env: more = {}, ...setting }: RunOptions = {}) =>
    runCommand(command, args, { ...setting, cwd: project, env: { ...env, ...more } });
  return {
    pulumi: (args, options) => run("pulumi", [...args, "--non-interactive"], options),
    edgeFleet: (args, options) => {
      const tail = ["preview", "up"].includes(args[0] ?? "") ? ["--", "--non-interactive"] : [];
      return run(
        process.execPath,
        [join(REPOSITORY, "cli/main.ts"), ...args, "--inventory", inventory, ...tail],
        options,
      );
    },
    outputs: async <T>(stack: string) => {
      const { stdout } = await run("pulumi", ["stack", "output", "--json", "--show-secrets", "--stack", stack]);
      return JSON.parse(stdout) as T;
    },
  };
}

/**
 * A project folder of its own, so that a run leaves nothing in the repository: its stack files and inventory are real,
 * the program is the repository's.
 */
function createProject(project: string): void {
  mkdirSync(join(project, "stacks"), { recursive: true });
  cpSync(join(REPOSITORY, "Pulumi.yaml"), join(project, "Pulumi.yaml"));
  for (const name of ["index.ts", "package.json", "node_modules", "components"]) {
    symlinkSync(join(REPOSITORY, name), join(project, name));
  }
}

async function initStack({ pulumi }: Commands, stack: string): Promise<void> {
  const { code, stderr } = await pulumi(["stack", "init", stack]);
  if (code !== 0) throw new Error(`pulumi stack init ${stack}: ${stderr}`);
}

async function writeInventory(
  inventory: string,
  artifacts: string,
  { devices, withHub = true, readySeconds = 1, readinessTimeoutSeconds = 30 }: LabFleetOptions,
  lab: DeviceLab,
  artifactsUrl: string,
): Promise<void> {
  const { version, directory } = await argocdManifests();
  const write = (name: string, value: unknown) => writeFileSync(join(inventory, name), stringify(value));
  write("fleet.yaml", {
    fleet: "lab",
    git: { url: "https://git.example.com/lab/edge-fleet.git" },
    rings: ["canary", "early", "broad"],
    hub: withHub ? { argocd: { version } } : "none",
    k3s: { version: K3S_VERSIONS[0] },
    readiness: { timeoutSeconds: readinessTimeoutSeconds },
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
  const k3s = [...K3S_VERSIONS.map((release) => published(release)), published(K3S_BROKEN, "never-ready")];
  const lockFile = (path: string) => ({ url: join(directory, path), sha256: sha256File(join(directory, path)) });
  write("artifacts.lock.yaml", {
    k3s: Object.fromEntries(k3s),
    argocd: {
      [version]: {
        crds: ["application", "applicationset", "appproject"].map((kind) => {
          const name = `${kind}-crd.yaml`;
          cpSync(join(directory, "crds", name), join(artifacts, name));
          return { ...lockFile(`crds/${name}`), url: `${artifactsUrl}/${name}` };
        }),
        controlPlane: lockFile("namespace-install.yaml"),
        images: { argocd: image("argocd"), redis: image("redis") },
      },
    },
  });
}

/** An image that no device of the lab has. */
function image(name: string): string {
  return `lab.invalid/absent/${name}:v1@sha256:${sha256(name)}`;
}

/** Publishes the stand-in of one K3s release for both architectures and returns its lock entry. */
function lockK3s(release: string, folder: string, baseUrl: string, options: Parameters<typeof k3sStandin>[1]) {
  const content = k3sStandin(release, options);
  const name = `k3s-${release.replace("+", "-")}`;
  writeFileSync(join(folder, name), content);
  const file = { url: `${baseUrl}/${name}`, sha256: sha256(content), size: Buffer.byteLength(content) };
  return { amd64: file, arm64: file };
}

function writeStackConfig(inventory: string): void {
  writeFileSync(join(inventory, `Pulumi.${REGION}.yaml`), stringify({ config: {} }));
  writeFileSync(join(inventory, "Pulumi.hub.yaml"), stringify({ config: { "edge-fleet:awaitReady": false } }));
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function sha256File(path: string): string {
  return sha256(readFileSync(path));
}
