/** Where health comes from: a status file, and Applications on the hub. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ObservedApplication, parseStatusFile, statusesFromApplications } from "../../../../cli/rollout/status.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const SHA = "a".repeat(40);
const AGE = 30 * 60_000;

test("a status file is JSON by device; what else an exporter says is left alone", () => {
  const text = JSON.stringify({
    a: {
      connected: true,
      healthy: true,
      revision: SHA,
      since: "2026-05-01T09:00:00Z",
      observedAt: "2026-05-01T11:59:00Z",
      cpu: 3,
    },
    c: { connected: true, healthy: false, observedAt: "2026-05-01T11:59:00Z", problems: ["a\u001b[31m\nb"] },
    b: { connected: false, healthy: false, revision: null, observedAt: "2026-05-01T13:59:00+02:00" },
  });
  const statuses = parseStatusFile("status.json", text);
  assert.deepEqual(statuses.get("a"), {
    connected: true,
    healthy: true,
    revision: SHA,
    since: "2026-05-01T09:00:00Z",
    observedAt: "2026-05-01T11:59:00Z",
    lastSeenAt: undefined,
  });
  assert.deepEqual(statuses.get("c")?.problems, ["a [31m b"]);
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
    since: undefined,
    observedAt: "2026-05-01T12:00:00.000Z",
    lastSeenAt: undefined,
    problems: ["the device has not answered the hub yet"],
  });
});

for (const [what, history, since] of [
  ["nothing was synced", undefined, undefined],
  ["it was synced once", ["A 1"], "1"],
  ["the same was synced again, e.g. to heal", ["B 1", "A 2", "A 3", "A 4"], "2"],
  ["it came back to it", ["A 1", "B 2", "A 3"], "3"],
  ["the revision changed nothing, so that no sync was needed", ["B 1", "C 2", "C 3"], "2"],
] as const) {
  test(`an Application runs its revision since hour ${since ?? "nobody knows"} where ${what}`, () => {
    const syncs = history?.map((entry) => ({
      revision: (entry[0] ?? "").toLowerCase().repeat(40),
      deployedAt: `2026-05-01T0${entry[2]}:00:00Z`,
    }));
    const status = read(application(syncs === undefined ? {} : { history: syncs })).get("a");
    assert.equal(status?.since, since === undefined ? undefined : `2026-05-01T0${since}:00:00Z`);
  });
}

test("an Application that was ill until lately runs its revision well only since then", () => {
  const health = { status: "Healthy", lastTransitionTime: "2026-05-01T11:00:00Z" };
  const history = [{ revision: SHA, deployedAt: "2026-05-01T03:00:00Z" }];
  const since = (change: ObservedApplication["status"]) => read(application(change)).get("a")?.since;
  assert.equal(since({ health, history }), "2026-05-01T11:00:00Z");
  const early = { status: "Healthy", lastTransitionTime: "2026-05-01T01:00:00Z" };
  assert.equal(since({ health: early, history }), "2026-05-01T03:00:00Z");
  assert.equal(since({ health }), undefined);
});

test("what is not well is told in Argo CD's own words, as plain text", () => {
  const problems = (change: ObservedApplication["status"]) => read(application(change)).get("a")?.problems;
  assert.equal(problems({}), undefined);
  const bad = { sync: { status: "OutOfSync", revision: SHA }, health: { status: "Degraded\u001b[2J" } };
  assert.deepEqual(problems({ ...bad, operationState: { phase: "Error" } }), ["OutOfSync, Degraded [2J, sync error"]);
  assert.deepEqual(problems({ sync: {}, health: {} }), ["not compared, of unknown health"]);
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
