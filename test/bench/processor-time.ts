/**
 * Processor time of everything that an action starts, provider plugins included: the Pulumi CLI does not wait for them, so
 * neither `time` nor the resource usage of children knows them. This process joins a control group of its own while the
 * action runs; what it starts meanwhile is born into the group and is counted there to its end. Processes from before,
 * such as the lab's devices, stay outside. Needs root and a writable control group file system: version 1 with `cpuacct`,
 * or version 2.
 */
import { mkdtempSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Result of an action and what it cost. */
export interface Accounted<T> {
  readonly result: T;
  /** Processor seconds, user and system, of this process during the action and of all that it started. */
  readonly cpuSeconds: number;
  /** Seconds on the clock. */
  readonly wallSeconds: number;
}

/** How the two versions of control groups show in /proc/mounts and /proc/self/cgroup, and where the time stands. */
const VERSIONS = [
  {
    mount: /^\S+ (\S+) cgroup \S*\bcpuacct\b/m,
    member: /^\d+:(?:[^:\n]*,)?cpuacct(?:,[^:\n]*)?:(.*)$/m,
    file: "cpuacct.usage",
    seconds: (text: string) => Number(text) / 1e9,
  },
  {
    mount: /^\S+ (\S+) cgroup2 /m,
    member: /^0::(.*)$/m,
    file: "cpu.stat",
    seconds: (text: string) => Number(/^usage_usec (\d+)$/m.exec(text)?.[1]) / 1e6,
  },
] as const;

/** How long processes that the action started may outlive it, in milliseconds. */
const LINGER_MS = 10_000;

/**
 * Runs an action and accounts for it. One at a time in a process.
 * @throws Error when control groups cannot be used, or a process that the action started does not end
 */
export async function account<T>(action: () => Promise<T>): Promise<Accounted<T>> {
  const { home, version } = findGroups();
  const group = makeGroup(home);
  const started = performance.now();
  try {
    joinGroup(group);
    const result = await action();
    const wallSeconds = (performance.now() - started) / 1000;
    joinGroup(home);
    await awaitEmpty(group);
    return { result, wallSeconds, cpuSeconds: version.seconds(readFileSync(join(group, version.file), "utf8")) };
  } finally {
    joinGroup(home);
    await awaitEmpty(group);
    rmdirSync(group);
  }
}

/** The version in use and the group that this process is in. */
function findGroups(): { readonly home: string; readonly version: (typeof VERSIONS)[number] } {
  const mounts = readFileSync("/proc/mounts", "utf8");
  const members = readFileSync("/proc/self/cgroup", "utf8");
  for (const version of VERSIONS) {
    const root = version.mount.exec(mounts)?.[1];
    const member = version.member.exec(members)?.[1];
    if (root !== undefined && member !== undefined) return { home: join(root, member), version };
  }
  throw new Error("bench: no control groups to account processor time with - mount /sys/fs/cgroup");
}

function makeGroup(home: string): string {
  try {
    return mkdtempSync(join(home, "edge-fleet-bench-"));
  } catch (error) {
    throw new Error(`bench: no control group: ${(error as Error).message} - run as root, in Docker with --privileged`);
  }
}

function joinGroup(group: string): void {
  writeFileSync(join(group, "cgroup.procs"), "0");
}

async function awaitEmpty(group: string): Promise<void> {
  const processes = () => readFileSync(join(group, "cgroup.procs"), "utf8").trim().split("\n").join(" ");
  const deadline = Date.now() + LINGER_MS;
  while (processes() !== "") {
    if (Date.now() > deadline) throw new Error(`bench: processes ${processes()} do not end`);
    await sleep(20);
  }
}
