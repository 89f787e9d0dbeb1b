/** `status`: the report by itself, and the command against a stand-in for the `pulumi` CLI. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { classifyRing } from "../../../cli/rollout/health.ts";
import { formatStatus, summarizeStatus, wrap } from "../../../cli/status/layout.ts";
import { isFailed, isPending, type StatusRow, statusReport } from "../../../cli/status/model.ts";
import { nextPromotion, type RingRow } from "../../../cli/status/rings.ts";
import type { StackReading } from "../../../cli/status/stacks.ts";
import { edgeFleet, MAIN } from "./command.ts";
import { fakePulumi } from "./fake-pulumi.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";
import { rolloutRepository, statusFile } from "./rollout-repository.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const SHA = "0123456789abcdef0123456789abcdef01234567";

const row = (id: string, more: Partial<StatusRow> = {}): StatusRow => ({
  ...{ id, region: "tokyo", model: "rpi4-4g", ring: "broad", state: "applied", code: "", reason: "" },
  ...{ release: "v1.36.2+k3s1", lastRun: "2026-05-01T10:00:00Z", health: undefined, status: undefined },
  ...more,
});

const healthy = {
  connected: true,
  healthy: true,
  revision: SHA,
  since: "2026-05-01T08:00:00Z",
  observedAt: "2026-05-01T11:57:00Z",
};

const ROWS: readonly StatusRow[] = [
  row("tokyo-0003", { state: "failed", code: "disk", reason: "no space on the device - free 200 MiB", release: "" }),
  row("tokyo-0001", { health: "healthy", status: { ...healthy, lastSeenAt: "2026-05-01T11:57:00Z" } }),
  row("tokyo-0002", { state: "pending", code: "unreachable", reason: "no answer from the host", health: "unknown" }),
];

const stacks = (...regions: string[]): Map<string, StackReading> =>
  new Map(
    regions.map((region) => [
      region,
      { devices: new Map(), agents: new Map(), lastRun: "2026-05-01T10:00:00Z", running: false, problem: undefined },
    ]),
  );

const at = (width: number | undefined) => ({ width, colour: false, now: NOW });

test("what the last run and the device's own silence both say is said once", () => {
  const silent = (problem: string) => ({ connected: false, healthy: false, observedAt: "", problems: [problem] });
  const pinned = "no host key is pinned - run edge-fleet enroll tokyo";
  const off = "no answer from the host";
  const rows = [
    row("a", {
      state: "pending",
      code: "not-enrolled",
      reason: pinned,
      status: silent(`no answer: not-enrolled: ${pinned}`),
    }),
    row("b", { state: "pending", code: "unreachable", reason: off, status: silent(`no answer: unreachable: ${off}`) }),
    row("c", {
      state: "pending",
      code: "unreachable",
      reason: off,
      status: silent("no answer: host-key: it is another"),
    }),
  ];
  const reasons = formatStatus(rows, stacks("tokyo"), at(undefined))
    .split("\n")
    .map((line) => line.split(/ {2,}/).at(-1));
  assert.deepEqual(reasons.slice(1, -1), [
    `not-enrolled: ${pinned}`,
    `unreachable: ${off}`,
    `unreachable: ${off}; no answer: host-key: it is another`,
  ]);
});

test("a wide terminal has one line for each device, the worst last", () => {
  assert.equal(
    formatStatus(ROWS, stacks("tokyo"), at(undefined)),
    `DEVICE      MODEL    STATE    RELEASE       RING   COMMIT    HEALTH   SINCE  CONTACT  REASON
tokyo-0001  rpi4-4g  applied  v1.36.2+k3s1  broad  01234567  healthy  4h     3m ago
tokyo-0002  rpi4-4g  pending  v1.36.2+k3s1  broad            unknown                  unreachable: no answer from the host
tokyo-0003  rpi4-4g  failed                 broad                                     disk: no space on the device - free 200 MiB
`,
  );
});

test("at 80 columns reasons that do not fit go below", () => {
  assert.equal(
    formatStatus(ROWS, stacks("tokyo"), at(80)),
    `DEVICE      STATE    RELEASE       RING   COMMIT    HEALTH   SINCE  CONTACT
tokyo-0001  applied  v1.36.2+k3s1  broad  01234567  healthy  4h     3m ago
tokyo-0002  pending  v1.36.2+k3s1  broad            unknown
  unreachable: no answer from the host
tokyo-0003  failed                 broad
  disk: no space on the device - free 200 MiB
`,
  );
});

test("at 40 columns what is least needed gives way", () => {
  assert.equal(
    formatStatus(ROWS, stacks("tokyo", "berlin"), at(40)),
    `DEVICE      STATE    HEALTH   CONTACT
tokyo-0001  applied  healthy  3m ago
tokyo-0002  pending  unknown
  unreachable: no answer from the host
tokyo-0003  failed
  disk: no space on the device - free
  200 MiB
`,
  );
  assert.equal(
    summarizeStatus(ROWS, stacks("tokyo", "berlin"), { width: 40, now: NOW }),
    `tokyo: 1 applied, 1 pending, 1 failed
(last run 2h ago)
berlin: no device (last run 2h ago)
health: 1 healthy, 1 unknown`,
  );
});

test("no line is wider than the terminal, and colour changes nothing but colour", () => {
  const text = fc.string({ unit: fc.constantFrom(..."abc -:"), maxLength: 120 });
  const rows = fc.array(
    fc.record({
      id: fc.stringMatching(/^[a-z]{1,10}$/),
      state: fc.constantFrom("applied", "pending", "failed", "new", "unknown", "removed"),
      reason: text,
      health: fc.constantFrom(undefined, "healthy", "unknown", "lost"),
      status: fc.constantFrom(undefined, healthy),
    } as const),
    { minLength: 1, maxLength: 12 },
  );
  fc.assert(
    fc.property(rows, fc.integer({ min: 34, max: 160 }), (list, width) => {
      const all = list.map(({ id, ...more }) => row(id, more));
      const plain = formatStatus(all, stacks("tokyo", "berlin"), at(width));
      const longestWord = Math.max(...all.flatMap(({ reason }) => reason.split(" ").map(({ length }) => length)));
      for (const line of plain.split("\n")) assert.ok(line.length <= Math.max(width, longestWord + 2), line);
      const coloured = formatStatus(all, stacks("tokyo", "berlin"), { ...at(width), colour: true });
      assert.equal(stripVTControlCharacters(coloured), plain);
    }),
  );
});

test("words are kept where lines are broken", () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 }),
      fc.integer({ min: 4, max: 40 }),
      (words, width) => {
        assert.equal(wrap(words.join(" "), width).join(" "), words.join(" "));
      },
    ),
  );
});

test("what needs a person is told from what passes", () => {
  const kinds = [
    row("a"),
    row("b", { state: "failed" }),
    row("c", { health: "lost" }),
    row("d", { state: "new" }),
    row("e", { health: "unknown" }),
    row("f", { state: "removed" }),
  ];
  assert.deepEqual(
    kinds.filter(isFailed).map(({ id }) => id),
    ["b", "c"],
  );
  assert.deepEqual(
    kinds.filter(isPending).map(({ id }) => id),
    ["d", "e"],
  );
});

test("the report for programs has every device, what is not known as null", () => {
  assert.deepEqual(statusReport(ROWS.slice(1, 2)), {
    "tokyo-0001": {
      ...{ region: "tokyo", model: "rpi4-4g", ring: "broad", state: "applied", code: "", reason: "" },
      ...{ release: "v1.36.2+k3s1", lastRun: "2026-05-01T10:00:00Z", health: "healthy" },
      ...{ ...healthy, lastSeenAt: "2026-05-01T11:57:00Z" },
    },
  });
  assert.equal((statusReport([row("x")]).x as { health: unknown }).health, null);
});

test("the ring that may be promoted next is the first that the ring before lets go on", () => {
  const ring = (name: string, revision: string | null, more: Partial<RingRow> = {}): RingRow => ({
    ...{ ring: name, revision, since: null, soakLeftMs: revision === null ? null : 0, devices: 1 },
    ...{ frozen: null, health: null },
    ...more,
  });
  const unwell = classifyRing(
    [],
    { revision: SHA, promotedAt: 0, minHealthyPercent: 95, minHealthyPerModelPercent: 95, maxFailures: 0, maxAgeMs: 1 },
    0,
  );
  const frozen = { since: "2026-05-01T10:00:00Z" };
  const cases: [string | undefined, RingRow[]][] = [
    [undefined, []],
    ["canary", [ring("canary", null), ring("broad", null)]],
    ["broad", [ring("canary", "b"), ring("broad", "a")]],
    ["broad", [ring("canary", "b"), ring("broad", null)]],
    ["late", [ring("canary", "b"), ring("broad", "b"), ring("late", "a")]],
    [undefined, [ring("canary", "b"), ring("broad", "b")]],
    [undefined, [ring("canary", "b", { soakLeftMs: 1 }), ring("broad", "a")]],
    [undefined, [ring("canary", "b", { health: unwell }), ring("broad", "a")]],
    [undefined, [ring("canary", "b"), ring("broad", "a", { frozen })]],
  ];
  for (const [next, rows] of cases) assert.equal(nextPromotion(rows), next);
});

const REGIONS = {
  "tokyo.yaml": `region: tokyo
devices:
  - { id: a, host: 10.0.0.1, model: box }
  - { id: b, host: 10.0.0.2, model: box }
  - { id: c, host: 10.0.0.3, model: box }
`,
  "berlin.yaml": "region: berlin\ndevices:\n  - { id: d, host: 10.0.0.4, model: box, ring: canary }\n",
};

const OUTPUTS = {
  tokyo: {
    applied: { a: "v1.34.2+k3s1" },
    pending: { b: { code: "unreachable", reason: "no answer from the host" } },
    failed: { c: { code: "disk", reason: "full - free some" }, old: { code: "disk", reason: "full - free some" } },
  },
};

test("status tells of every device from the stacks alone", async (context) => {
  const stacksFolder = writeInventory(context, REGIONS);
  const environment = fakePulumi(context, OUTPUTS);
  const run = (...args: string[]) => edgeFleet(["status", "--inventory", stacksFolder, ...args], { environment });
  const { exitCode, stdout, stderr } = await run();
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.equal(
    stdout,
    `DEVICE  REGION  MODEL  STATE    RELEASE       RING    REASON
a       tokyo   box    applied  v1.34.2+k3s1  broad
d       berlin  box    new                    canary  no-run: no run has come to it yet - run edge-fleet enroll berlin, then edge-fleet up berlin
b       tokyo   box    pending                broad   unreachable: no answer from the host
c       tokyo   box    failed                 broad   disk: full - free some
old     tokyo          failed                         disk: it is not in the inventory - put its entry back with state: removed, and run up
berlin: 1 new (no run yet)
tokyo: 1 applied, 1 pending, 2 failed (last run 3h 1m ago)
Next: edge-fleet logs c, fix it, and edge-fleet up tokyo
`,
  );
  const failed = await run("tokyo", "--failed");
  assert.match(failed.stdout, /^DEVICE .*\nc .*\nold .*\ntokyo: 1 applied, 1 pending, 2 failed /);
  const one = await run("b");
  assert.match(one.stdout, /^DEVICE .*\nb .*\ntokyo: 1 pending \(last run 3h 1m ago\)\nNext: edge-fleet up tokyo\n$/);
  const json = JSON.parse((await run("--json", "--ring", "canary")).stdout) as Record<string, { state: string }>;
  assert.deepEqual(
    Object.entries(json).map(([id, { state }]) => [id, state]),
    [["d", "new"]],
  );
  for (const [args, message] of [
    [["nowhere"], /device nowhere is in no region/],
    [["--ring", "none"], /ring none is not one of the fleet's - use one of canary, broad/],
    [["--watch", "--json"], /cannot be used with option/],
  ] as const) {
    const wrong = await run(...args);
    assert.equal(wrong.exitCode, 2);
    assert.match(wrong.stderr, message);
  }
});

test("status --watch tells again and again, and ends with Ctrl-C", async (context) => {
  const stacksFolder = writeInventory(context, REGIONS);
  const env = { ...process.env, ...fakePulumi(context, OUTPUTS) };
  const child = spawn(process.execPath, [MAIN, "status", "b", "--inventory", stacksFolder, "--watch", "1"], { env });
  context.after(() => child.kill("SIGKILL"));
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const rounds = (): number => text.match(/^\d{4}-\S+Z\nDEVICE .*\nb +box +pending /gm)?.length ?? 0;
  for (let attempt = 0; rounds() < 2 && attempt < 400; attempt++) await delay(50);
  child.kill("SIGINT");
  assert.equal(await ended, 0);
  assert.ok(rounds() >= 2, text);
});

test("a stack that cannot be read is told, and an error where nothing else is known", async (context) => {
  const stacksFolder = writeInventory(context, REGIONS);
  const environment = { ...fakePulumi(context, { ...OUTPUTS, berlin: null }) };
  writeFileSync(join(environment.FOLDER ?? "", "berlin.json"), "{");
  const run = (...args: string[]) => edgeFleet(["status", "--inventory", stacksFolder, ...args], { environment });
  const { exitCode, stdout, stderr } = await run();
  assert.equal(exitCode, 0);
  assert.match(stderr, /^stack berlin cannot be read: /);
  assert.match(stdout, /^d +berlin +box +unknown +canary +stack: /m);
  assert.equal((await run("berlin")).exitCode, 1);
  const without = await edgeFleet(["status", "--inventory", stacksFolder], {
    environment: { PATH: temporaryDirectory(context) },
  });
  assert.equal(without.exitCode, 2);
  assert.match(without.stderr, /^error: pulumi is not on PATH - install /);
});

test("health, commit and contact come from a status file, and old ones are told to be unknown", async (context) => {
  const clone = await rolloutRepository(context);
  const sha = clone.git("rev-parse", "HEAD");
  await clone.run("promote", "canary", "--to", sha);
  const environment = fakePulumi(context, { tokyo: { applied: { a: "v1", b: "v1", c: "v1", d: "v1" } } });
  const run = (...args: string[]) => edgeFleet(["status", ...args], { environment, cwd: clone.directory });
  const old = new Date(Date.now() - 3_600_000).toISOString();
  const status = statusFile(clone, { a: { revision: sha }, b: { revision: sha, observedAt: old }, gone: {} });
  const { exitCode, stdout, stderr } = await run("--status", status);
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, new RegExp(`^a +box +applied +v1 +canary +${sha.slice(0, 8)} +healthy +1d +1m ago$`, "m"));
  assert.match(stdout, new RegExp(`^b +other +applied +v1 +canary +${sha.slice(0, 8)} +unknown +1d +1h ago$`, "m"));
  assert.match(stdout, /^c +box +applied +v1 +broad +unknown$/m);
  assert.match(stdout, /^health: 1 healthy, 3 unknown$/m);
  assert.doesNotMatch(stdout, /^gone /m);
  const json = await run("--status", status, "--json");
  clone.write(".git/again.json", json.stdout);
  const again = await run("--status", join(clone.directory, ".git/again.json"));
  assert.equal(again.stdout, stdout, "what it prints is what it reads");
  const both = await run("--status", status, "--kubeconfig", status);
  assert.equal(both.exitCode, 2);
  const broken = await run("--status", "stacks/fleet.yaml");
  assert.equal(broken.exitCode, 2);
  assert.match(broken.stderr, /stacks\/fleet\.yaml:1:\d+ fleet: /);
});

test("a hub that does not answer is told, and the stacks still are", async (context) => {
  const clone = await rolloutRepository(context, "gitops: { engine: argocd-agent }\n");
  const environment = fakePulumi(context, { tokyo: { applied: { a: "v1" } } });
  const file = join(clone.directory, ".git/kubeconfig");
  const cluster = { name: "c", cluster: { server: "https://127.0.0.1:1" } };
  const config = { contexts: [{ name: "c", context: { cluster: "c", user: "u" } }], clusters: [cluster], users: [] };
  writeFileSync(file, JSON.stringify({ ...config, "current-context": "c" }));
  const run = (KUBECONFIG: string, ...args: string[]) =>
    edgeFleet(["status", ...args], { environment: { ...environment, KUBECONFIG }, cwd: clone.directory });
  for (const { exitCode, stdout, stderr } of [await run(file), await run("", "--kubeconfig", file)]) {
    assert.equal(exitCode, 0);
    assert.match(stderr, /^health is not told: https:\/\/127\.0\.0\.1:1 does not answer: /);
    assert.match(stdout, /^a +box +applied +v1 +canary$/m);
  }
  const none = await run("", "--kubeconfig", `${file}.none`);
  assert.equal(none.exitCode, 2);
});
