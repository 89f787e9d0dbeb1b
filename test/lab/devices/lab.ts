/**
 * Loopback devices: as many SSH-reachable ones on 127.77.x.y:2222 as there are ids in a list, each with a root file
 * system, a host name and a host key of its own, behind the real OpenSSH server. Runs inside the lab's namespaces only
 * (test/lab/namespace.ts). Devices share the machine's kernel, processes and network: no containment, no boot.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { insideNamespaces } from "../namespace.ts";
import { DEVICE_PORT, deviceAddress } from "./address.ts";
import { type CommandResult, runCommand } from "./command.ts";
import { type Dispatcher, startDispatcher } from "./dispatcher.ts";
import { generateSshKey } from "./keys.ts";
import { connectDevices, linkAddress, setLink } from "./links.ts";
import { loadScript, modeScript, REMOVE_SCRIPT, TABLE_SCRIPT } from "./network.ts";
import { BOOT_SCRIPT, cutPower } from "./power.ts";
import {
  BASE,
  HOST_KEY,
  hostNamePath,
  mountRoots,
  networkPath,
  type RootRequest,
  rootPath,
  unmountRoots,
  writeHostKey,
} from "./roots.ts";
import { prepareSshAccess, type SshAccess } from "./ssh.ts";
import type { DeviceLab, DeviceLabOptions, DeviceMode, LabDevice, Silence } from "./types.ts";

export type { CommandResult } from "./command.ts";
export type * from "./types.ts";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const ID = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;

interface DeviceState extends LabDevice {
  readonly index: number;
  readonly network: string | undefined;
  boots: number;
  hostKey: string;
  mode: DeviceMode;
}

/**
 * Starts a lab. One lab at a time in one set of namespaces.
 * @throws Error outside the namespaces, for a wrong or doubled id, beside another lab, when port 2222 is taken or a tool is missing
 */
export async function startDevices(options: DeviceLabOptions): Promise<DeviceLab> {
  checkOptions(options);
  const requests = options.devices.map((device, index) => ({
    ...device,
    host: deviceAddress(index),
    key: generateSshKey(),
  }));
  let access: SshAccess | undefined;
  try {
    mountRoots(requests, options.files ?? [], options.binds);
    connectDevices(
      requests.flatMap(({ id, linked }, index) => (linked === true ? [{ index, namespace: networkPath(id) }] : [])),
    );
    access = prepareSshAccess(options.directory, BASE);
    const states = new Map(
      requests.map((request, index) => [request.id, deviceState(request, index, options.mode?.[request.id] ?? "up")]),
    );
    const filtered = [...states.values()].map(({ host, mode }) => modeScript(host, "up", mode)).join("");
    await loadScript(TABLE_SCRIPT + filtered);
    const paths = { logPath: join(options.directory, "sshd.log"), connectionsPath: join(BASE, "connections") };
    writeFileSync(paths.connectionsPath, "");
    const endpoints = [...states.values()].map(({ id, host, root, mode, network }) => ({
      ...{ address: host, root, network, hostName: hostNamePath(id), hostKey: join(root, HOST_KEY) },
      silence: silenceOf(mode),
    }));
    const dispatcher = await startDispatcher({ port: DEVICE_PORT, endpoints, sshdConfig: access.sshdConfig, ...paths });
    return new RunningLab(states, access, dispatcher, paths);
  } catch (error) {
    await cleanUp(access);
    throw error;
  }
}

function checkOptions({ devices, mode = {} }: DeviceLabOptions): void {
  if (existsSync(BASE)) throw new Error(`lab: ${BASE} exists - stop the other lab in these namespaces first`);
  if (!insideNamespaces()) throw new Error("lab: devices need namespaces - call enterNamespaces() first");
  const ids = new Set<string>();
  for (const { id } of devices) {
    if (!ID.test(id)) throw new Error(`lab: device id ${JSON.stringify(id)} - use lower-case letters, digits, - and .`);
    if (ids.has(id)) throw new Error(`lab: device id ${id} occurs twice - use each id once`);
    ids.add(id);
  }
  const unknown = Object.keys(mode).find((id) => !ids.has(id));
  if (unknown !== undefined) throw new Error(`lab: mode names ${unknown}, which is no device - use an id of the list`);
}

function deviceState(
  { id, architecture, host, key, linked }: RootRequest,
  index: number,
  mode: DeviceMode,
): DeviceState {
  const own = { id, architecture, host, port: DEVICE_PORT, root: rootPath(id), hostKey: key.publicKey };
  const state = { ...own, index, mode, boots: 0 };
  return linked === true
    ? { ...state, network: networkPath(id), address: linkAddress(index) }
    : { ...state, network: undefined };
}

async function cleanUp(access: SshAccess | undefined): Promise<void> {
  if (access !== undefined) process.kill(access.agentPid);
  await loadScript(REMOVE_SCRIPT);
  unmountRoots();
}

function silenceOf(mode: DeviceMode): Silence | undefined {
  return mode === "silent" || mode === "mute" ? mode : undefined;
}

class RunningLab implements DeviceLab {
  readonly devices: readonly LabDevice[];
  readonly agentSocket: string;
  readonly clientKeyPath: string;
  readonly logPath: string;
  readonly #states: ReadonlyMap<string, DeviceState>;
  readonly #access: SshAccess;
  readonly #dispatcher: Dispatcher;
  readonly #connectionsPath: string;
  #countFrom = 0;
  #lastChange: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(
    states: ReadonlyMap<string, DeviceState>,
    access: SshAccess,
    dispatcher: Dispatcher,
    paths: { readonly logPath: string; readonly connectionsPath: string },
  ) {
    this.devices = [...states.values()];
    this.agentSocket = access.agentSocket;
    this.clientKeyPath = access.clientKeyPath;
    this.logPath = paths.logPath;
    this.#states = states;
    this.#access = access;
    this.#dispatcher = dispatcher;
    this.#connectionsPath = paths.connectionsPath;
  }

  setMode(id: string, mode: DeviceMode): Promise<void> {
    const state = this.#state(id);
    const change = this.#lastChange.then(async () => {
      await loadScript(modeScript(state.host, state.mode, mode));
      if (silenceOf(mode) !== silenceOf(state.mode)) await this.#dispatcher.setSilence(state.host, silenceOf(mode));
      state.mode = mode;
    });
    this.#lastChange = change.catch(() => undefined);
    return change;
  }

  async changeHostKey(id: string): Promise<string> {
    const state = this.#state(id);
    const key = generateSshKey();
    writeHostKey(state.root, key);
    state.hostKey = key.publicKey;
    return key.publicKey;
  }

  connections(id: string): number {
    const { host } = this.#state(id);
    const lines = readFileSync(this.#connectionsPath, "latin1").slice(this.#countFrom).split("\n");
    return lines.filter((line) => line === host).length;
  }

  resetConnections(): void {
    this.#countFrom = statSync(this.#connectionsPath).size;
  }

  exec(id: string, command: string): Promise<CommandResult> {
    const { root, network } = this.#state(id);
    const namespaces = [`--uts=${hostNamePath(id)}`, ...(network === undefined ? [] : [`--net=${network}`])];
    const args = [...namespaces, `--root=${root}`, `--wd=${root}/root`, "/bin/sh", "-c", command];
    const env = { PATH, HOME: "/root", USER: "root", LOGNAME: "root", SHELL: "/bin/sh" };
    return runCommand("nsenter", args, env);
  }

  setLink(id: string, connected: boolean): void {
    setLink(this.#state(id).index, connected);
  }

  cutPower(id: string): void {
    const state = this.#state(id);
    cutPower(state.root, `boot-${++state.boots}`);
  }

  boot(id: string): Promise<CommandResult> {
    return this.exec(id, BOOT_SCRIPT);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopOnce();
    return this.#stopped;
  }

  async #stopOnce(): Promise<void> {
    await this.#lastChange;
    await this.#dispatcher.stop();
    await cleanUp(this.#access);
  }

  #state(id: string): DeviceState {
    const state = this.#states.get(id);
    if (state === undefined) throw new Error(`lab: ${id} is no device of this lab - use an id of the list`);
    return state;
  }
}
