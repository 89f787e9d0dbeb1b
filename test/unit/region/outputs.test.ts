import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeviceOutcome } from "../../../components/device/result.ts";
import { describeReasons, regionOutputs } from "../../../components/region/outputs.ts";

const dark = {
  state: "pending",
  code: "unreachable",
  reason: "no answer from the host",
  release: "v1.36.1+k3s1",
} as const;
const OUTCOMES: readonly (readonly [string, DeviceOutcome])[] = [
  ["c", { state: "failed", code: "host-key", reason: "another key - find out why", release: "" }],
  ["b", { state: "applied", code: "", reason: "", release: "v1.36.2+k3s1", engine: "ready" }],
  ["f", { state: "applied", code: "", reason: "", release: "v1.36.2+k3s1", engine: "waiting: ImagePullBackOff x" }],
  ["a", dark],
  ["d", { state: "removed", code: "wiped", reason: "", release: "" }],
  ["e", dark],
];

test("outputs are counts, and one short entry a device", () => {
  assert.deepEqual(regionOutputs(new Map(OUTCOMES)), {
    devices: { applied: 2, pending: 2, failed: 1, removed: 1 },
    applied: { b: "v1.36.2+k3s1", f: "v1.36.2+k3s1" },
    waiting: { f: "ImagePullBackOff x" },
    agents: {},
    pending: { a: { code: dark.code, reason: dark.reason }, e: { code: dark.code, reason: dark.reason } },
    failed: { c: { code: "host-key", reason: "another key - find out why" } },
    removed: { d: "wiped" },
  });
});

test("while agents are moved, the outputs tell the release of those alone that are as their plan says", () => {
  const wanted = new Map([
    ["a", "v0.11.0"],
    ["b", "v0.10.0"],
    ["c", "v0.11.0"],
    ["f", "v0.11.0"],
    ["g", undefined],
  ]);
  assert.deepEqual(regionOutputs(new Map(OUTCOMES), wanted).agents, { b: "v0.10.0", f: "v0.11.0" });
});

test("devices that share a reason share a line", () => {
  const { pending } = regionOutputs(new Map(OUTCOMES));
  assert.deepEqual(describeReasons("pending", pending), ["2 pending (unreachable): a, e: no answer from the host"]);
  const many = Object.fromEntries(
    Array.from({ length: 400 }, (_, index) => [`d${index}`, { code: "silent", reason: "x" }]),
  );
  assert.deepEqual(describeReasons("pending", many), [
    "400 pending (silent): d0, d1, d2, d3, d4, d5, d6, d7 and 392 more: x",
  ]);
});
