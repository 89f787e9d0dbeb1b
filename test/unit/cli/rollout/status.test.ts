/** Where health comes from: a status file, and Applications on the hub. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ObservedApplication, parseStatusFile, statusesFromApplications } from "../../../../cli/rollout/status.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const SHA = "a".repeat(40);
const AGE = 30 * 60_000;

test("a status file is JSON by device; what else an exporter says is left alone", () => {
  const text = JSON.stringify({
    a: { connected: true, healthy: true, revision: SHA, observedAt: "2026-05-01T11:59:00Z", cpu: 3 },
    b: { connected: false, healthy: false, revision: null, observedAt: "2026-05-01T13:59:00+02:00" },
  });
  const statuses = parseStatusFile("status.json", text);
  assert.deepEqual(statuses.get("a"), {
    connected: true,
    healthy: true,
    revision: SHA,
    observedAt: "2026-05-01T11:59:00Z",
    lastSeenAt: undefined,
  });
  assert.equal(statuses.get("b")?.revision, undefined);
});

for (const [text, problem] of [
  [
    '{"a": {"connected": "yes", "healthy": true, "observedAt": "2026-05-01T11:59:00Z"}}',
    /status\.json:1:\d+ a\.connected: /,
  ],
  ['{"a": {"connected": true, "healthy": true}}', /a\.observedAt: is (missing|not a date)/],
  [
    '{"a": {"connected": true, "healthy": true, "observedAt": "yesterday"}}',
    /a\.observedAt: is not a date - write RFC 3339/,
  ],
  ["[]", /status\.json:1:1 /],
  ["{", /status\.json:1:\d+ \(yaml\): /],
] as const) {
  test(`a status file of ${text} is refused as a whole`, () => {
    assert.throws(() => parseStatusFile("status.json", text), problem);
  });
}

const application = (change: ObservedApplication["status"], device = "a", name = `${device}-workloads`) => ({
  metadata: { name, annotations: { "edge-fleet.dev/device": device } },
  status: {
    sync: { status: "Synced", revision: SHA },
    health: { status: "Healthy" },
    reconciledAt: "2026-05-01T11:50:00Z",
    ...change,
  },
});

const read = (...list: ObservedApplication[]) => statusesFromApplications(list, undefined, AGE, NOW);

for (const [what, change, expected] of [
  ["synced and healthy", {}, "connected healthy"],
  ["out of sync", { sync: { status: "OutOfSync", revision: SHA } }, "connected unhealthy"],
  ["sync unknown", { sync: { status: "Unknown", revision: SHA } }, "connected unhealthy"],
  ["degraded", { health: { status: "Degraded" } }, "connected unhealthy"],
  ["progressing", { health: { status: "Progressing" } }, "connected unhealthy"],
  ["a failed operation", { operationState: { phase: "Failed" } }, "connected unhealthy"],
  ["a running operation over a good state", { operationState: { phase: "Running" } }, "connected healthy"],
  [
    "not compared for a day: the hub keeps the last status of a dark device",
    { reconciledAt: "2026-04-30T12:00:00Z" },
    "dark healthy",
  ],
] as const) {
  test(`an Application that is ${what} makes a device ${expected}`, () => {
    const status = read(application(change)).get("a");
    assert.equal(`${status?.connected ? "connected" : "dark"} ${status?.healthy ? "healthy" : "unhealthy"}`, expected);
    assert.equal(status?.revision, SHA);
  });
}

test("an Application without a status is that of a device that has not answered yet", () => {
  const { metadata } = application({});
  assert.deepEqual(read({ metadata }).get("a"), {
    connected: false,
    healthy: false,
    revision: undefined,
    observedAt: "2026-05-01T12:00:00.000Z",
    lastSeenAt: undefined,
  });
});

test("only the Applications of the workload count, and none that edge-fleet did not make", () => {
  const list = [
    application({}),
    application({ health: { status: "Degraded" } }, "a", "a-telemetry"),
    { metadata: { name: "b-workloads" }, status: {} },
  ];
  assert.deepEqual(
    [...statusesFromApplications(list, undefined, AGE, NOW).values()].map(({ healthy }) => healthy),
    [true],
  );
  assert.deepEqual(
    [...statusesFromApplications(list, "telemetry", AGE, NOW).values()].map(({ healthy }) => healthy),
    [false],
  );
});
