/**
 * What pushing an artifact to one device came to: from the end of its SSH connection to an outcome.
 */
import type { RunResult } from "../process.ts";
import { classifyFailure, type SshFailure } from "../ssh/classify.ts";
import { fingerprintOf } from "../ssh/keys.ts";

/** One device's push. */
export interface PushOutcome {
  readonly id: string;
  /** `present`: it was there. `pending`: unreachable or not enrolled. */
  readonly state: "pushed" | "present" | "pending" | "failed";
  /** Bytes sent in this run. */
  readonly sentBytes: number;
  readonly reason: SshFailure["reason"] | "not-enrolled" | "artifact" | undefined;
  readonly message: string;
}

/** What the device says before it receives: the offset to send from, or that it has everything. */
export type Request =
  | { readonly kind: "have" }
  | { readonly kind: "send"; readonly offset: number }
  | { readonly kind: "unclear" };

/** Reads the device's first line. */
export function parseRequest(line: string, size: number): Request {
  if (line.trim() === "have") return { kind: "have" };
  const offset = /^send (\d{1,15})\s*$/.exec(line)?.[1];
  if (offset === undefined || Number(offset) > size) return { kind: "unclear" };
  return { kind: "send", offset: Number(offset) };
}

/**
 * Judges one connection.
 * @param pinned the device's host key
 * @param size bytes of the artifact
 */
export function judgePush(id: string, pinned: string, result: RunResult, size: number): PushOutcome {
  const lines = result.stdout.split("\n").map((line) => line.trim());
  if (result.exitCode === 0 && lines[0] === "have")
    return { id, state: "present", sentBytes: 0, reason: undefined, message: "already there" };
  const request = parseRequest(lines[0] ?? "", size);
  if (result.exitCode === 0 && lines.includes("stored") && request.kind === "send") {
    const message = request.offset > 0 ? `resumed at byte ${request.offset}` : "";
    return { id, state: "pushed", sentBytes: size - request.offset, reason: undefined, message };
  }
  const failure = classifyFailure(result);
  const state = failure.state === "pending" ? "pending" : "failed";
  return { id, state, sentBytes: 0, reason: failure.reason, message: explain(id, pinned, failure) };
}

function explain(id: string, pinned: string, failure: SshFailure): string {
  if (failure.reason !== "host-key-changed") return failure.message;
  const offered = failure.offeredFingerprint ?? "unknown";
  return `host key changed: pinned ${fingerprintOf(pinned)}, offered ${offered} - if that is right: edge-fleet enroll <region> --accept-new-key ${id}`;
}
