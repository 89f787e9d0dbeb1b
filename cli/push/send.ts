/** One SSH connection that brings one artifact onto one device, resuming where an earlier one broke off. */
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Profile } from "../../components/inventory/index.ts";
import { runProgram } from "../process.ts";
import { jumpAlias, RUN_SCRIPT_AS_ROOT, sshArguments } from "../ssh/arguments.ts";
import { knownHostsText } from "../ssh/keys.ts";
import type { CachedArtifact } from "./cache.ts";
import { judgePush, type PushOutcome, parseRequest } from "./outcome.ts";

const RECEIVE_SCRIPT = join(import.meta.dirname, "receive.sh");

/** How a transfer is bounded. */
export interface SendOptions {
  /** Milliseconds without a byte in either direction. Default 120,000: hashing on the device sends nothing. */
  readonly idleMs: number;
  readonly signal?: AbortSignal;
}

/** Sends it. Never rejects for what the device does. */
export async function sendArtifact(
  profile: Profile,
  artifact: CachedArtifact,
  options: SendOptions,
): Promise<PushOutcome> {
  const { id, hostKey: pinned } = profile;
  if (pinned === undefined) {
    const message = `no pinned host key - run: edge-fleet enroll ${profile.region}`;
    return { id, state: "pending", sentBytes: 0, reason: "not-enrolled", message };
  }
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-push-"));
  try {
    const knownHosts = join(directory, "known_hosts");
    const keys = new Map([[id, pinned]]);
    if (profile.ssh.proxy !== undefined) keys.set(jumpAlias(id), profile.ssh.proxy.hostKey);
    writeFileSync(knownHosts, knownHostsText(keys), { mode: 0o600 });
    const args = sshArguments({ profile, knownHosts, hostKeyChecking: "yes", pinned }, RUN_SCRIPT_AS_ROOT);
    const result = await runProgram("ssh", args, {
      stdin: receiveScript(artifact),
      reply: (line) => bodyFor(line, artifact),
      idleMs: options.idleMs,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return judgePush(id, pinned, result, artifact.size);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The device's half of the transfer, complete. */
export function receiveScript({ sha256, size }: Pick<CachedArtifact, "sha256" | "size">): string {
  return `SHA256=${sha256}\nSIZE=${size}\n${readFileSync(RECEIVE_SCRIPT, "utf8")}`;
}

function bodyFor(line: string, artifact: CachedArtifact): Readable | undefined {
  const request = parseRequest(line, artifact.size);
  if (request.kind !== "send") return undefined;
  return request.offset === artifact.size
    ? Readable.from([])
    : createReadStream(artifact.path, { start: request.offset });
}
