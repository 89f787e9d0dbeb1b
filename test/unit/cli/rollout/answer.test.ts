/** A device's own answer: what is taken of it, and how it is judged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_ANSWER_BYTES, parseAnswer, statusOfAnswer } from "../../../../cli/rollout/answer.ts";
import { classify } from "../../../../cli/rollout/dial.ts";
import { classifyDevice } from "../../../../cli/rollout/health.ts";
import { remember, statusOfKnown } from "../../../../cli/rollout/memory.ts";
import type { SshAnswer } from "../../../../cli/ssh/run.ts";
import { answerLine } from "../device-answer.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const SHA = "a".repeat(40);
const HOUR = 3_600_000;
const READING = { receivedAt: NOW, workload: undefined, comparesEveryMs: 10 * 60_000 };
const RULES = { revision: SHA, promotedAt: NOW - 24 * HOUR, maxAgeMs: HOUR / 2 };

const read = (line: string, reading: Partial<typeof READING> = {}) => {
  const answer = parseAnswer(line);
  assert.ok(answer, line);
  return statusOfAnswer(answer, { ...READING, ...reading });
};

const verdicts: [what: string, line: string, verdict: string, problems?: string[]][] = [
  ["as it should be", answerLine({}), "healthy"],
  ["with an operation at work over a good state", answerLine({ app: { phase: "Running" } }), "healthy"],
  ["on another revision", answerLine({ app: { revision: "b".repeat(40) } }), "behind"],
  ["out of sync", answerLine({ app: { sync: "OutOfSync" } }), "failed", ["Application workloads: OutOfSync"]],
  [
    "degraded, after a sync that failed",
    answerLine({ app: { health: "Degraded", phase: "Failed" } }),
    "failed",
    ["Application workloads: Degraded, sync failed"],
  ],
  ["of unknown sync", answerLine({ app: { sync: "Unknown" } }), "failed", ["Application workloads: Unknown"]],
  ["without its Application", answerLine({ apps: [] }), "behind", ["Application workloads is missing"]],
  [
    "with a cluster that does not answer",
    answerLine({ api: false, state: "waiting: the API does not answer", apps: [] }),
    "behind",
    ["its cluster does not answer"],
  ],
  [
    "with errors of its Application",
    answerLine({
      app: { sync: "Unknown", conditions: "ComparisonError SyncError ComparisonError ExcludedResourceWarning" },
    }),
    "failed",
    ["Application workloads: Unknown, ComparisonError, SyncError"],
  ],
  [
    "with an engine that waits",
    answerLine({ state: "waiting: ImagePullBackOff argocd" }),
    "failed",
    ["engine waiting: ImagePullBackOff argocd"],
  ],
  ["without an engine", answerLine({ state: "" }), "failed", ["engine not installed"]],
  [
    "with an engine that hangs since yesterday",
    answerLine({ app: { reconciledAt: "2026-04-30T12:00:00Z" } }),
    "failed",
    ["Application workloads was not compared lately"],
  ],
  [
    "never compared",
    answerLine({ app: { reconciledAt: "" } }),
    "failed",
    ["Application workloads was not compared lately"],
  ],
  [
    "well, beside another Application that is not",
    answerLine({ more: [{ name: "camera", health: "Degraded" }] }),
    "healthy",
    ["Application camera: Degraded"],
  ],
];

for (const [what, line, verdict, problems] of verdicts)
  test(`a device that answers ${what} counts as ${verdict}`, () => {
    const status = read(line);
    assert.equal(classifyDevice(status, RULES, NOW), verdict);
    assert.deepEqual(status.problems, problems);
  });

test("a workload of its own is judged by its own Application", () => {
  const line = answerLine({ more: [{ name: "camera", revision: "1.2.3", health: "Degraded" }] });
  const status = read(line, { workload: "camera" } as never);
  assert.deepEqual([status.healthy, status.revision], [false, "1.2.3"]);
});

test("a device whose clock is wrong is judged by the ages that it tells", () => {
  const [wrong, right] = ["1970-01-01T04:00:00Z", "2026-05-01T12:00:00Z"].map((time) => {
    const hoursBefore = (hours: number) => new Date(Date.parse(time) - hours * HOUR).toISOString();
    return read(
      answerLine({
        at: time,
        app: { healthSince: hoursBefore(3), deployedAt: hoursBefore(4), reconciledAt: hoursBefore(0.1) },
      }),
    );
  });
  assert.deepEqual(wrong, right);
  assert.equal(right?.since, "2026-05-01T09:00:00.000Z");
  assert.equal(
    read(answerLine({ app: { deployedAt: "" } })).since,
    undefined,
    "healthy since, but nobody knows of what",
  );
  assert.equal(read(answerLine({ app: { healthSince: "" } })).since, "2026-05-01T08:59:00.000Z");
  assert.equal(read(answerLine({ at: "" })).healthy, false, "ages that nobody can tell are none");
  const ahead = read(answerLine({ app: { deployedAt: "2030-01-01T00:00:00Z" } }));
  assert.equal(ahead.since, "2026-05-01T12:00:00.000Z", "never from the future");
});

for (const [what, line] of [
  ["nothing", ""],
  ["no JSON", "Welcome to tokyo!"],
  ["half a line", answerLine({}).slice(0, -4)],
  ["another kind of answer", '{"result":"applied","device":"a"}'],
  ["an array", "[]"],
  ["null", "null"],
  ["too long a line", answerLine({}).replace("{", `{"pad":"${"x".repeat(MAX_ANSWER_BYTES)}",`)],
  ["too many Applications", answerLine({ more: Array.from({ length: 200 }, () => ({})) })],
  ["a name that steers the terminal", answerLine({ more: [{ name: "x\u001b[2J" }] })],
  ["a revision with a control character", answerLine({ app: { revision: `${SHA}\u0000` } })],
  ["a revision without end", answerLine({ app: { revision: "a".repeat(300) } })],
  ["a date that is none", answerLine({ app: { deployedAt: "yesterday" } })],
  ["a number for a text", answerLine({}).replace('"ready"', "1")],
] as const)
  test(`${what} is no answer`, () => assert.equal(parseAnswer(line), undefined));

test("text of a device is plain and short wherever it ends", () => {
  const line = answerLine({ state: `waiting: \u001b]0;title\u0007 a\nb\u009b2J ${"x".repeat(900)}` });
  const [problem = ""] = read(line).problems ?? [];
  assert.match(problem, /^engine waiting: {2}\]0;title {2}a b 2J x+…$/);
  assert.ok(problem.length <= 210);
  assert.ok(
    (read(answerLine({ more: Array.from({ length: 150 }, () => ({ name: "a", health: "Degraded" })) })).problems ?? [])
      .length <= 5,
  );
});

test("what comes before the last line is not read, and unknown fields are left alone", () => {
  assert.ok(parseAnswer(`Welcome\n${answerLine({}).replace("{", '{"cpu":3,')}\n\n`));
});

test("whatever a device writes, it is an answer or none, and without a good one it is never healthy", () => {
  const word = fc.constantFrom("", "Synced", "Healthy", "ready", "Failed", SHA, "2026-05-01T11:59:00Z", "x\u001b");
  const application = fc.record({
    ...{ name: fc.constantFrom("workloads", "edge-root"), revision: word, sync: word, health: word },
    ...{ healthSince: word, deployedAt: word, phase: word, reconciledAt: word, conditions: word },
  });
  const answer = fc.record({
    ...{ edgeFleetStatus: fc.constant(1), device: word, at: word, release: word, api: fc.boolean(), state: word },
    applications: fc.array(application, { maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.oneof(answer, fc.jsonValue()), (value) => {
      const parsed = parseAnswer(JSON.stringify(value));
      if (parsed === undefined) return;
      const status = statusOfAnswer(parsed, READING);
      const own = parsed.applications.find(({ name }) => name === "workloads");
      const good = own?.sync === "Synced" && own.health === "Healthy" && own.phase !== "Failed";
      if (status.healthy) assert.ok(good && parsed.state === "ready");
      if (status.since !== undefined) assert.ok(Date.parse(status.since) <= NOW);
    }),
    { numRuns: 3000 },
  );
});

const CONNECTION: SshAnswer = { exitCode: 0, stdout: "", stderr: "", ended: undefined, loggedIn: true, hostKey: "k" };
const DEVICE = { id: "a", region: "tokyo" };

for (const [what, change, code] of [
  ["prints something else", { stdout: "hello\n" }, "answer"],
  ["is another device", { stdout: answerLine({ device: "b" }) }, "identity"],
  ["has an older program", { exitCode: 2, stderr: "usage: edge-fleet-device apply <PAYLOAD | ...\n" }, "program"],
  ["has no program", { exitCode: 1, stderr: "edge-fleet: program: nothing of edge-fleet is on it - x\n" }, "program"],
  [
    "was never applied",
    { exitCode: 1, stdout: '{"result":"failed","code":"settings","reason":"settings: no apply - x"}' },
    "settings",
  ],
  ["takes too long to tell", { exitCode: 124 }, "slow"],
  ["stops answering", { exitCode: undefined, ended: "timeout" }, "lost"],
  ["never lets anybody in", { exitCode: undefined, ended: "timeout", loggedIn: false }, "silent"],
  ["writes without end", { exitCode: undefined, ended: "output", stdout: answerLine({}) }, "shell"],
  ["is off", { exitCode: 255, loggedIn: false, stderr: "ssh: connect: No route to host" }, "unreachable"],
] as const satisfies readonly [string, Partial<SshAnswer>, string][])
  test(`a device that ${what} gives no answer: ${code}`, () => {
    const result = classify(DEVICE, { ...CONNECTION, ...change });
    assert.deepEqual("code" in result ? result.code : result, code);
  });

test("a device that does not answer any more is known by its last answer, and is lost if that was bad", () => {
  const answer = parseAnswer(answerLine({ app: { health: "Degraded" } }));
  assert.ok(answer);
  const first = remember(new Map(), [{ id: "a", at: NOW - HOUR, result: answer }]);
  const failure = { code: "unreachable", reason: "no answer from the host" };
  const then = remember(first, [
    { id: "a", at: NOW, result: failure },
    { id: "b", at: NOW, result: failure },
  ]);
  const status = (id: string) => statusOfKnown(then.get(id) ?? {}, READING);
  assert.deepEqual(
    [status("a")?.connected, status("a")?.lastSeenAt, status("a")?.observedAt, status("a")?.problems],
    [
      false,
      "2026-05-01T11:00:00.000Z",
      "2026-05-01T12:00:00.000Z",
      ["no answer: unreachable: no answer from the host"],
    ],
  );
  assert.equal(classifyDevice(status("a"), RULES, NOW), "lost");
  assert.equal(classifyDevice(status("b"), RULES, NOW), "unknown");
  const again = remember(then, [{ id: "a", at: NOW + HOUR, result: answer }]);
  assert.equal(again.get("a")?.failed, undefined);
});
