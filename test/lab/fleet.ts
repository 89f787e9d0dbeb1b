/**
 * A whole fleet on this machine: loopback devices, a hub API server, an artifact server, an inventory that describes
 * them, and the real `pulumi` and `edge-fleet` commands pointed at all of it. The demo, the engine tests and the
 * benchmarks run on it. Everything lives in the lab's own namespaces and ends with them.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Document, parseDocument, stringify } from "yaml";
import { deviceProgram, PROGRAM_PATH } from "../../components/device/program.ts";
import { startArtifactServer } from "./devices/artifacts.ts";
import { startDevices } from "./devices/lab.ts";
import type { DeviceFile, DeviceLab } from "./devices/types.ts";
import { type LabInventory, MODELS, REGION, runsPods, writeInventory } from "./fleet-inventory.ts";
import { startHub } from "./hub/index.ts";
import { ADVERTISED_ADDRESS } from "./namespace.ts";
import { type CommandResult, runCommand } from "./run-command.ts";
import { BINARIES_PATH, deviceBinaries, IMAGES, IMAGES_PATH } from "./standins/images.ts";
import type { Toolchain } from "./toolchain/index.ts";

export { K3S_BROKEN, K3S_VERSIONS, type LabDeviceRequest, REGION } from "./fleet-inventory.ts";

const REPOSITORY = join(import.meta.dirname, "../..");
/** Passphrase of the lab's stacks, distinctive enough to be looked for in what must not hold it. */
export const PASSPHRASE = "loopback-lab-passphrase";
/** What the lab fleet is to consist of. */
export interface LabFleetOptions extends LabInventory {
  readonly toolchain: Toolchain;
  /** Have the device program installed already, as on devices that were enrolled before. Default false. */
  readonly withProgram?: boolean;
  /** Secrets of the region's stack by key. Default: none. */
  readonly secrets?: Readonly<Record<string, string>>;
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
  /** Sets a secret of a stack, `edge-fleet:<key>`. @param stack default: the region's */
  setSecret(key: string, value: string, stack?: string): Promise<void>;
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

/** Starts everything. Call inside the lab's namespaces. */
export async function startLabFleet(options: LabFleetOptions): Promise<LabFleet> {
  const directory = mkdtempSync("/run/edge-fleet-lab-");
  const project = join(directory, "project");
  const inventory = join(project, "stacks");
  for (const name of ["artifacts", "state", "devices", "hub", "pulumi-home"]) mkdirSync(join(directory, name));
  createProject(project);
  const devices = await startDevices({
    directory: join(directory, "devices"),
    devices: options.devices.map(({ id, model }) => ({
      ...{ id, architecture: MODELS[model].architecture, linked: runsPods(model) },
    })),
    mode: Object.fromEntries(options.devices.map(({ id, mode = "up" }) => [id, mode])),
    ...(await deviceFiles(options)),
  });
  const artifacts = await startArtifactServer({ directory: join(directory, "artifacts"), address: ADVERTISED_ADDRESS });
  const hub =
    options.withHub === false
      ? undefined
      : await startHub({ toolchain: options.toolchain, directory: join(directory, "hub") });
  await writeInventory(inventory, { folder: join(directory, "artifacts"), url: artifacts.url }, options, devices);
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
  for (const [key, value] of Object.entries(options.secrets ?? {})) await fleet.setSecret(key, value);
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

/** What every device has: the program, where it is enrolled, and what pods are run from, where any device runs them. */
async function deviceFiles({ devices, toolchain, withProgram }: LabFleetOptions) {
  const pods = devices.some(({ model }) => runsPods(model));
  const files: DeviceFile[] = [
    ...(withProgram === true ? [{ path: PROGRAM_PATH, content: deviceProgram().text, mode: 0o755 }] : []),
    ...(pods ? [{ path: IMAGES_PATH, content: JSON.stringify(IMAGES) }] : []),
  ];
  return { files, binds: pods ? { [BINARIES_PATH]: await deviceBinaries(toolchain) } : {} };
}

type Commands = Pick<LabFleet, "pulumi" | "edgeFleet" | "outputs" | "setSecret">;

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
    setSecret: async (key, value, stack = REGION) => {
      const words = ["config", "set", "--secret", `edge-fleet:${key}`, "--stack", stack];
      const { code, stderr } = await run("pulumi", words, { input: value });
      if (code !== 0) throw new Error(`pulumi ${words.join(" ")}: ${stderr}`);
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

function writeStackConfig(inventory: string): void {
  for (const stack of [REGION, "hub"])
    writeFileSync(join(inventory, `Pulumi.${stack}.yaml`), stringify({ config: { "edge-fleet:awaitReady": false } }));
}
