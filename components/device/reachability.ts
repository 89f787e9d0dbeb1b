/**
 * Which devices answer right now: a TCP connection that yields an SSH banner within the deadline, many at once. The
 * banner matters: a host that accepts and stays silent hangs an SSH handshake for ever, because golang.org/x/crypto/ssh
 * has no handshake deadline (golang/go#51926). Behind a jump host the banner is read through it with `ssh -W`.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import type { ResolvedProxy } from "../inventory/types.ts";

/** Where a device listens. */
export interface ProbeTarget {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Jump host, which is dialled instead of it. Undefined: none. */
  readonly proxy: ResolvedProxy | undefined;
}

/** What the probe saw; `reason` is a phrase for people, e.g. `no answer within 3 s`. */
export type Reachability = { readonly reachable: true } | { readonly reachable: false; readonly reason: string };

/** How patient the probe is. */
export interface ProbeOptions {
  /** Milliseconds from dial to banner. Default 3,000: a mobile link needs one or two. */
  readonly timeoutMs?: number;
  /** Probes at once. Default 256: 2,000 dark devices cost 24 s, and a process has file descriptors for it. */
  readonly concurrency?: number;
}

/** Probes all targets. Never throws: whatever goes wrong is that device's reason. */
export async function probeDevices(
  targets: readonly ProbeTarget[],
  { timeoutMs = 3000, concurrency = 256 }: ProbeOptions = {},
): Promise<Map<string, Reachability>> {
  const results = new Map<string, Reachability>();
  const queue = targets.values();
  const worker = async () => {
    for (const target of queue) results.set(target.id, await probe(target, timeoutMs));
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, targets.length) }, worker));
  return results;
}

function probe(target: ProbeTarget, timeoutMs: number): Promise<Reachability> {
  return target.proxy === undefined
    ? probeDirect(target, timeoutMs)
    : probeThroughProxy(target, target.proxy, timeoutMs);
}

function probeDirect({ host, port }: ProbeTarget, timeoutMs: number): Promise<Reachability> {
  const socket = connect({ host, port });
  let connected = false;
  socket.once("connect", () => {
    connected = true;
  });
  return readBanner(socket, timeoutMs, () =>
    connected ? "accepts connections but sends no SSH banner" : `no answer within ${timeoutMs / 1000} s`,
  ).finally(() => socket.destroy());
}

async function probeThroughProxy(target: ProbeTarget, proxy: ResolvedProxy, timeoutMs: number): Promise<Reachability> {
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-probe-"));
  const knownHosts = join(directory, "known_hosts");
  writeFileSync(knownHosts, `${proxy.port === 22 ? proxy.host : `[${proxy.host}]:${proxy.port}`} ${proxy.hostKey}\n`, {
    mode: 0o600,
  });
  const options = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    `UserKnownHostsFile=${knownHosts}`,
    "ControlPath=none",
  ];
  const child = spawn(
    "ssh",
    [
      ...options.flatMap((option) => ["-o", option]),
      "-p",
      String(proxy.port),
      "-W",
      `${target.host}:${target.port}`,
      `${proxy.user}@${proxy.host}`,
    ],
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  const spawnError = new Promise<Reachability>((resolve) => {
    child.once("error", (error) => resolve({ reachable: false, reason: `ssh cannot be run: ${error.message}` }));
  });
  const behind = `no SSH banner through jump host ${proxy.host} within ${(2 * timeoutMs) / 1000} s`;
  try {
    return await Promise.race([readBanner(child.stdout, 2 * timeoutMs, () => behind), spawnError]);
  } finally {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Waits for the first bytes of a stream and looks whether they open an SSH identification (RFC 4253, section 4.2). */
function readBanner(stream: Readable | Duplex, timeoutMs: number, onTimeout: () => string): Promise<Reachability> {
  return new Promise((resolve) => {
    const end = (result: Reachability) => {
      clearTimeout(timer);
      resolve(result);
    };
    const timer = setTimeout(() => end({ reachable: false, reason: onTimeout() }), timeoutMs);
    let text = "";
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (/^SSH-|\nSSH-/.test(text)) end({ reachable: true });
      else if (text.length > 8192) end({ reachable: false, reason: "something other than an SSH server answers" });
    });
    stream.once("error", (error: NodeJS.ErrnoException) => end({ reachable: false, reason: describeError(error) }));
    stream.once("end", () => end({ reachable: false, reason: "closes the connection without an SSH banner" }));
  });
}

/** Socket errors as an operator would put them. */
const ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refuses the connection: no SSH server listens",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ENOTFOUND: "its name does not resolve",
  EAI_AGAIN: "its name does not resolve for now",
  ECONNRESET: "resets the connection",
  ETIMEDOUT: "no answer",
};

function describeError(error: NodeJS.ErrnoException): string {
  return ERRORS[error.code ?? ""] ?? error.message;
}
