/**
 * Argo CD's own controllers of one region's control plane, as plain processes on the lab's hub: repo-server and
 * ApplicationSet controller of the release that the toolchain builds, and a Redis in memory (STAND-IN). What
 * `components/hub` deploys runs here without a kubelet.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Toolchain } from "../toolchain/index.ts";

/** How long a component may take to listen, in milliseconds; the machine may be compiling. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 100;
const SHOWN_LOG = 2000;

/** How to start the controllers. */
export interface ArgoCdOptions {
  /** Must hold the parts `argocd`, `miniredis` and `kustomize`. */
  readonly toolchain: Toolchain;
  /** Folder for logs and scratch files. */
  readonly directory: string;
  /** Kubeconfig of the hub. */
  readonly kubeconfigPath: string;
  /** Namespace of the control plane; must hold `argocd-cm`, `argocd-secret` and the projects. */
  readonly namespace: string;
  /** Which controller runs beside the repo-server. Default: that of ApplicationSets, as on the hub. */
  readonly controller?: "applicationset" | "application";
}

/** Running controllers. */
export interface ArgoCd {
  /** Address of its Redis. */
  readonly redis: string;
  /** The controller's log so far. */
  readonly log: () => string;
  /** Ends all of them; harmless when they have ended already. */
  stop(): Promise<void>;
}

/**
 * Starts the controllers and waits until they listen.
 * @throws Error with the end of a component's log when it does not come up
 */
export async function startArgoCd(options: ArgoCdOptions): Promise<ArgoCd> {
  const [redis, repo, repoMetrics, metrics, probe, webhook] = await freePorts(6);
  const repoServer = `127.0.0.1:${repo}`;
  const processes: ChildProcess[] = [];
  const stop = async () => {
    await Promise.all(processes.reverse().map(stopProcess));
  };
  try {
    const redisArgs = ["--bind", "127.0.0.1", "--port", `${redis}`];
    processes.push(await startPart(options, "miniredis", "miniredis", redisArgs, Number(redis)));
    processes.push(
      await startPart(
        options,
        "argocd",
        "argocd-repo-server",
        [
          ...["--address", "127.0.0.1", "--port", `${repo}`, "--redis", `127.0.0.1:${redis}`],
          ...["--metrics-address", "127.0.0.1", "--metrics-port", `${repoMetrics}`],
        ],
        Number(repo),
      ),
    );
    processes.push(
      await startController(options, `127.0.0.1:${redis}`, repoServer, [metrics, probe, webhook].map(Number)),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  const watched = `argocd-${options.controller ?? "applicationset"}-controller`;
  return { redis: `127.0.0.1:${redis}`, log: () => readFileSync(logFile(options, watched), "utf8"), stop };
}

function startController(
  options: ArgoCdOptions,
  redis: string,
  repoServer: string,
  [metrics = 0, probe = 0, webhook = 0]: readonly number[],
): Promise<ChildProcess> {
  const common = ["--namespace", options.namespace, "--kubeconfig", options.kubeconfigPath];
  if (options.controller === "application") {
    const own = ["--metrics-port", `${metrics}`, "--redis", redis, "--repo-server", repoServer];
    const resync = ["--app-resync", "10", "--app-resync-jitter", "0"];
    return startPart(options, "argocd", "argocd-application-controller", [...common, ...own, ...resync], metrics);
  }
  const own = ["--argocd-repo-server", repoServer, "--metrics-addr", `127.0.0.1:${metrics}`];
  const ports = ["--probe-addr", `127.0.0.1:${probe}`, "--webhook-addr", `127.0.0.1:${webhook}`];
  return startPart(options, "argocd", "argocd-applicationset-controller", [...common, ...own, ...ports], probe);
}

function logFile({ directory }: ArgoCdOptions, name: string): string {
  return join(directory, `${name}.log`);
}

/** One executable is every component of Argo CD: its name in the environment says which. */
async function startPart(
  options: ArgoCdOptions,
  partName: string,
  name: string,
  args: readonly string[],
  port: number,
): Promise<ChildProcess> {
  const part = options.toolchain.parts.find((candidate) => candidate.name === partName);
  if (part === undefined) throw new Error(`the toolchain has no part ${partName} - pass it to ensureToolchain`);
  const child = startLogged(part.path, args, environment(options, name), logFile(options, name));
  if (await listens(child, port)) return child;
  await stopProcess(child);
  const file = logFile(options, name);
  throw new Error(
    `${name} does not listen on port ${port}; end of ${file}:\n${readFileSync(file, "utf8").slice(-SHOWN_LOG)}`,
  );
}

function environment({ directory, kubeconfigPath, toolchain }: ArgoCdOptions, name: string): NodeJS.ProcessEnv {
  const folder = (path: string): string => {
    const made = join(directory, name, path);
    mkdirSync(made, { recursive: true });
    return made;
  };
  const knownHosts = folder("ssh");
  writeFileSync(join(knownHosts, "ssh_known_hosts"), "");
  return {
    PATH: toolchain.env.PATH,
    HOME: folder("home"),
    TMPDIR: folder("tmp"),
    KUBECONFIG: kubeconfigPath,
    ARGOCD_FAKE_IN_CLUSTER: "true",
    ARGOCD_BINARY_NAME: name,
    ARGOCD_GPG_ENABLED: "false",
    ARGOCD_TLS_DATA_PATH: folder("tls"),
    ARGOCD_SSH_DATA_PATH: knownHosts,
    ARGOCD_GPG_DATA_PATH: folder("gpg"),
    ARGOCD_GNUPGHOME: folder("gnupg"),
    ARGOCD_PLUGINSOCKFILEPATH: folder("plugins"),
  };
}

async function listens(child: ChildProcess, port: number): Promise<boolean> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) {
    if (await accepts(port)) return true;
    await sleep(POLL_MS);
  }
  return false;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Starts a process that writes to a log, mode 0600, and ends with this one, however that ends. */
export function startLogged(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  logFile: string,
): ChildProcess {
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(command, args, { stdio: ["ignore", log, log], env });
  closeSync(log);
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  child.once("exit", () => process.off("exit", end));
  return child;
}

/** Ends a process, by force where it does not end by itself; harmless when it has ended already. */
export async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  if (await Promise.race([exited, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])) return;
  child.kill("SIGKILL");
  await exited;
}

/** Free TCP ports of loopback, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
