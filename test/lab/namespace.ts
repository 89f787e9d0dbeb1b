/**
 * Runs a command in mount, network and PID namespaces of its own. The lab mounts hundreds of file systems, owns
 * 127.0.0.0/8 and starts daemons; because all of that lives in namespaces that end with their first process, nothing is
 * left behind after an exit, Ctrl-C or SIGKILL, and the machine is never changed. Needs root, `unshare` and `setpriv`
 * (util-linux 2.33 or newer) and `ip` (iproute2).
 */
import { spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";

/** Environment variable that is "1" inside the namespaces. */
export const NAMESPACE_VARIABLE = "EDGE_FLEET_LAB_NAMESPACE";

/** The lab's only address that is not a loopback one: what an API server or Git server of the lab may advertise. */
export const ADVERTISED_ADDRESS = "10.250.0.1";

const FORWARDED_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * The way in. `setpriv --pdeathsig` ends `unshare` when the process that started it is killed, and `--kill-child` passes
 * that on to PID 1 of the namespaces, with which the kernel ends everything else in them.
 */
const WAY_IN = [
  ...["setpriv", "--pdeathsig", "KILL", "--"],
  ...["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL", "--"],
  join(import.meta.dirname, "namespace-init.sh"),
] as const;

/** Whether this process already runs inside the lab's namespaces. */
export function insideNamespaces(): boolean {
  return process.env[NAMESPACE_VARIABLE] === "1";
}

/**
 * Runs the rest of the current script inside namespaces. Outside, it runs the same script again inside (same Node.js,
 * flags, arguments and standard streams), ends this process with that exit code and never returns; inside it returns at
 * once. Call it first: `await enterNamespaces()`. Works for a file under `node --test` as well.
 * @throws Error when namespaces cannot be made
 */
export async function enterNamespaces(): Promise<void> {
  if (insideNamespaces()) return;
  const args = [...process.execArgv, ...process.argv.slice(1)];
  process.exit(await runInNamespaces(process.execPath, args, process.env));
}

/**
 * Runs a command inside new namespaces with this process's standard streams. SIGINT, SIGTERM and SIGHUP are forwarded
 * once to the command's process group.
 * @param command executable, looked up on the PATH of `env`
 * @param args its arguments
 * @param env its whole environment; `EDGE_FLEET_LAB_NAMESPACE=1` is added
 * @returns its exit code, or 128 + signal number as shells report it (always 130 after a forwarded SIGINT)
 * @throws Error when this is not root, a tool is missing or the kernel refuses
 */
export async function runInNamespaces(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const environment = { ...env, [NAMESPACE_VARIABLE]: "1" };
  assertPossible(environment);
  const [launcher, ...prefix] = WAY_IN;
  // A session of its own: Ctrl-C would otherwise reach the command twice, from the terminal and forwarded.
  const child = spawn(launcher, [...prefix, command, ...args], { stdio: "inherit", detached: true, env: environment });
  const forward = (signal: NodeJS.Signals) => {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  };
  for (const signal of FORWARDED_SIGNALS) process.on(signal, forward);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } finally {
    for (const signal of FORWARDED_SIGNALS) process.off(signal, forward);
  }
}

/** Goes the way in with `true` as the command, so that its failure is told apart from the real command's. */
function assertPossible(env: NodeJS.ProcessEnv): void {
  if (process.getuid?.() !== 0) throw new Error("lab: namespaces need root - run the tests as root or with sudo");
  const [launcher, ...prefix] = WAY_IN;
  const trial = spawnSync(launcher, [...prefix, "true"], { env, encoding: "utf8" });
  if (trial.status === 0) return;
  const reason = trial.error?.message ?? trial.stderr.trim();
  throw new Error(
    `lab: cannot make mount, network and PID namespaces: ${reason} - install util-linux and iproute2 and run with CAP_SYS_ADMIN (in Docker: --privileged)`,
  );
}
