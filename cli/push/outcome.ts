/**
 * What pushing artifacts to one device came to: from the end of its SSH connection to an outcome. Pure.
 */
import type { RunResult } from "../process.ts";
import { classifyFailure, type SshFailure } from "../ssh/classify.ts";
import { fingerprintOf } from "../ssh/keys.ts";

/** What is pushed. */
export interface PushItem {
  /** e.g. `k3s-images` */
  readonly name: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** What came of one artifact. */
export interface PushedItem {
  readonly name: string;
  /** `present`: it was there. `missing`: it still has to be sent, in part or whole. */
  readonly state: "present" | "pushed" | "missing";
  /** Bytes sent in this run; 0 where the transfer did not come to its end. */
  readonly sentBytes: number;
  /** Byte at which an earlier transfer was resumed; 0 for none. */
  readonly resumedAt: number;
}

/** One device's push. */
export interface PushOutcome {
  readonly id: string;
  /** `present`: everything was there. `pending`: unreachable or not enrolled. */
  readonly state: "pushed" | "present" | "pending" | "failed";
  /** Bytes of the artifacts that were completed in this run. */
  readonly sentBytes: number;
  /** Undefined where all went well. */
  readonly reason: SshFailure["reason"] | "not-enrolled" | "artifact" | "clock" | undefined;
  readonly message: string;
  /** In the order in which they were to be sent. */
  readonly artifacts: readonly PushedItem[];
}

/** A line with which the device asks for bytes. */
export interface PushRequest {
  readonly sha256: string;
  /** Bytes that it has already. */
  readonly offset: number;
}

/**
 * Reads a line of the device.
 * @returns undefined for any other line
 */
export function parseRequest(line: string): PushRequest | undefined {
  const [, sha256, offset] = /^send ([0-9a-f]{64}) (\d{1,15})\s*$/.exec(line) ?? [];
  return sha256 === undefined || offset === undefined ? undefined : { sha256, offset: Number(offset) };
}

/** Reads what the device said about each artifact. */
export function judgeItems(stdout: string, items: readonly PushItem[]): PushedItem[] {
  const lines = new Set(stdout.split("\n").map((line) => line.trim()));
  const offsets = new Map(
    [...lines].flatMap((line): [string, number][] => {
      const request = parseRequest(line);
      return request === undefined ? [] : [[request.sha256, request.offset]];
    }),
  );
  return items.map(({ name, sha256, size }) => {
    const resumedAt = Math.min(offsets.get(sha256) ?? 0, size);
    if (lines.has(`stored ${sha256}`)) return { name, state: "pushed", sentBytes: size - resumedAt, resumedAt };
    return { name, state: lines.has(`have ${sha256}`) ? "present" : "missing", sentBytes: 0, resumedAt: 0 };
  });
}

/**
 * Judges one connection.
 * @param pinned the device's host key
 * @param items what was to be sent
 */
export function judgePush(id: string, pinned: string, result: RunResult, items: readonly PushItem[]): PushOutcome {
  const artifacts = judgeItems(result.stdout, items);
  const sentBytes = artifacts.reduce((sum, item) => sum + item.sentBytes, 0);
  if (result.exitCode === 0 && artifacts.every(({ state }) => state !== "missing")) {
    const pushed = artifacts.filter(({ state }) => state === "pushed");
    const state = pushed.length === 0 ? "present" : "pushed";
    return { id, state, sentBytes, reason: undefined, message: describe(artifacts), artifacts };
  }
  const failure = classifyFailure(result);
  const state = failure.state === "pending" ? "pending" : "failed";
  return { id, state, sentBytes, reason: failure.reason, message: explain(id, pinned, failure), artifacts };
}

/** e.g. `k3s, k3s-images (resumed at byte 1048576)`. */
function describe(artifacts: readonly PushedItem[]): string {
  const pushed = artifacts.filter(({ state }) => state === "pushed");
  if (pushed.length === 0) return "already there";
  return pushed
    .map(({ name, resumedAt }) => (resumedAt > 0 ? `${name} (resumed at byte ${resumedAt})` : name))
    .join(", ");
}

/** The outcome of a device to which nothing was sent. */
export function unsent(
  id: string,
  state: "pending" | "failed",
  reason: NonNullable<PushOutcome["reason"]>,
  message: string,
): PushOutcome {
  return { id, state, sentBytes: 0, reason, message, artifacts: [] };
}

/** What a failed connection means, and the mend. */
export function explain(id: string, pinned: string, failure: SshFailure): string {
  if (failure.reason !== "host-key-changed") return failure.message;
  const offered = failure.offeredFingerprint ?? "unknown";
  return `host key changed: pinned ${fingerprintOf(pinned)}, offered ${offered} - if that is right: edge-fleet enroll <region> --accept-new-key ${id}`;
}
