/**
 * Starts the lab's hub cluster, a Kubernetes API with a kubeconfig. A STAND-IN, see `toolchain/hub-apiserver`: real API
 * server and controllers, no nodes. Inside the lab's namespaces it listens on their one address that is not a loopback
 * one, so that its kubeconfig looks like that of a reachable cluster; elsewhere on 127.0.0.1.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { ADVERTISED_ADDRESS, insideNamespaces } from "../namespace.ts";
import type { Toolchain } from "../toolchain/index.ts";

const execute = promisify(execFile);

/** A start takes about 3 s; on a machine that compiles at the same time it was seen to take many times that. */
const START_TIMEOUT_MS = 120_000;

/** After this long a stopping hub is killed, in milliseconds; the database survives that. */
const STOP_TIMEOUT_MS = 20_000;

/** How much of the log an error shows, in characters from the end. */
const SHOWN_LOG = 2000;

/** How to start a hub. */
export interface HubOptions {
  /** Must hold the part `hub-apiserver`. */
  readonly toolchain: Toolchain;
  /** Data directory; kept by `stop`, and a later start with the same one continues with the same CAs and objects. */
  readonly directory: string;
  /** TCP port. Default: a free one. */
  readonly port?: number;
  /** Gets a line at the start and when the hub is ready. */
  readonly report?: (line: string) => void;
}

/** A running hub. */
export interface Hub {
  /** Kubeconfig of a cluster administrator, mode 0600. */
  readonly kubeconfigPath: string;
  /** URL of the API. */
  readonly server: string;
  /** Ends the hub and waits for it; harmless when it has ended already. */
  stop(): Promise<void>;
}

/**
 * Starts a hub and waits until its `/readyz` answers. The hub ends with this process, however that ends.
 * @param options where and how
 * @returns the running hub
 * @throws Error with the end of its log when it does not become ready
 */
export async function startHub(options: HubOptions): Promise<Hub> {
  const report = options.report ?? (() => {});
  const started = performance.now();
  const address = await bindAddress();
  const port = options.port ?? (await freePort(address));
  const server = `https://${address}:${port}`;
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const logFile = join(options.directory, "hub-apiserver.log");
  report(`hub: starting at ${server}, log in ${logFile}`);
  const child = spawnHub(options, address, port, logFile);
  try {
    await ready(child, logFile);
  } catch (error) {
    await stop(child);
    throw error;
  }
  report(`hub: ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return { kubeconfigPath: join(options.directory, "admin.kubeconfig"), server, stop: () => stop(child) };
}

function spawnHub({ toolchain, directory }: HubOptions, address: string, port: number, logFile: string): ChildProcess {
  const part = toolchain.parts.find(({ name }) => name === "hub-apiserver");
  if (!part) throw new Error('the toolchain has no part hub-apiserver - pass "hub-apiserver" to ensureToolchain');
  const log = openSync(logFile, "w", 0o600);
  try {
    return spawn(
      part.path,
      ["--data-dir", directory, "--bind-address", address, "--port", String(port), "--stop-on-stdin-end"],
      { stdio: ["pipe", "pipe", log] },
    );
  } finally {
    closeSync(log);
  }
}

async function ready(child: ChildProcess, logFile: string): Promise<void> {
  if (!child.stdout) throw new Error("the hub's stdout is no pipe");
  const lines = createInterface({ input: child.stdout });
  const outcome = await Promise.race([
    once(lines, "line").then(() => "ready"),
    once(child, "exit").then(([code, signal]) => `ended with ${code ?? signal}`),
    sleep(START_TIMEOUT_MS, `was not ready after ${START_TIMEOUT_MS / 1000} s`, { ref: false }),
  ]);
  if (outcome !== "ready") {
    throw new Error(`hub-apiserver ${outcome}; end of ${logFile}:\n${readFileSync(logFile, "utf8").slice(-SHOWN_LOG)}`);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const stopped = await Promise.race([exited, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
  if (stopped) return;
  child.kill("SIGKILL");
  await exited;
}

/** Inside the lab's namespaces their address, given to `lo` when it is missing: the kernel may lack dummy devices. */
async function bindAddress(): Promise<string> {
  if (!insideNamespaces()) return "127.0.0.1";
  const { stdout } = await execute("ip", ["-oneline", "address", "show", "dev", "lo"]);
  if (!stdout.includes(` ${ADVERTISED_ADDRESS}/`)) {
    await execute("ip", ["link", "set", "lo", "up"]);
    await execute("ip", ["address", "add", `${ADVERTISED_ADDRESS}/32`, "dev", "lo"]);
  }
  return ADVERTISED_ADDRESS;
}

async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, "listening");
  const bound = server.address();
  server.close();
  await once(server, "close");
  if (bound === null || typeof bound === "string") throw new Error(`no free TCP port on ${address}`);
  return bound.port;
}
