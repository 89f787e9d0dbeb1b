/** `report`: what is compared and embedded, and the command against a stand-in for the `pulumi` CLI. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { compareReports, type ReportChanges } from "../../../cli/report/changes.ts";
import { embedFacts, extractFacts } from "../../../cli/report/embed.ts";
import { type ReportDevice, type ReportFacts, STATES, splitReason, VERDICTS } from "../../../cli/report/model.ts";
import { renderReport } from "../../../cli/report/render.ts";
import { edgeFleet, MAIN } from "./command.ts";
import { fakePulumi } from "./fake-pulumi.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";
import { fleetReport } from "./report-fleet.ts";
import { rolloutRepository, statusFile } from "./rollout-repository.ts";

const device = (id: string, more: Partial<ReportDevice> = {}): ReportDevice => ({
  ...{ id, region: "tokyo", model: "box", ring: "broad", state: "applied", code: "", reason: "" },
  ...{ release: "v1", wanted: "v1", revision: "", health: "", contact: "" },
  ...more,
});

const facts = (devices: readonly ReportDevice[], more: Partial<ReportFacts> = {}): ReportFacts => ({
  ...{ fleet: "acme", madeAt: "2026-05-01T12:00:00.000Z", regions: [], rings: [], devices },
  ...more,
});

const failed = { state: "failed", code: "disk", reason: "full - free some" } as const;

test("what changed is told by kind, those that changed alike together", () => {
  const cases: [string, ReportDevice[], ReportDevice[], ReportChanges["devices"]][] = [
    ["nothing", [device("a", failed)], [device("a", { ...failed, reason: "other - words" })], []],
    [
      "worse and better",
      [device("a"), device("b"), device("c", failed)],
      [device("a", failed), device("b", failed), device("c")],
      [
        { kind: "worse", was: "applied", now: "failed", devices: ["a", "b"] },
        { kind: "better", was: "failed", now: "applied", devices: ["c"] },
      ],
    ],
    [
      "health counts",
      [device("a", { health: "healthy" })],
      [device("a", { health: "lost" })],
      [{ kind: "worse", was: "applied, healthy", now: "applied, lost", devices: ["a"] }],
    ],
    [
      "new and gone",
      [device("a"), device("b"), device("d", { state: "removed" })],
      [device("b", { state: "removed" }), device("c", { state: "new" })],
      [
        { kind: "new", was: "", now: "new", devices: ["c"] },
        { kind: "gone", was: "applied", now: "removed", devices: ["b"] },
        { kind: "gone", was: "applied", now: "", devices: ["a"] },
      ],
    ],
    [
      "a release, also of one that got better",
      [device("a"), device("b", failed), device("c", { release: "" })],
      [device("a", { release: "v2" }), device("b", { release: "v2" }), device("c", { release: "v2" })],
      [
        { kind: "better", was: "failed", now: "applied", devices: ["b"] },
        { kind: "release", was: "v1", now: "v2", devices: ["a", "b"] },
      ],
    ],
  ];
  for (const [name, before, after, expected] of cases)
    assert.deepEqual(compareReports(facts(before), facts(after)).devices, expected, name);
});

test("a ring that has another commit is told", () => {
  const ring = (name: string, revision: string | null) => ({
    ...{ name, revision, since: null, soakLeftMs: null, frozen: null, unwell: null },
  });
  const before = facts([], { rings: [ring("canary", "a"), ring("broad", null)], madeAt: "2026-04-30T12:00:00.000Z" });
  const after = facts([], { rings: [ring("canary", "b"), ring("broad", null), ring("late", "a")] });
  assert.deepEqual(compareReports(before, after), {
    since: "2026-04-30T12:00:00.000Z",
    devices: [],
    rings: [
      { ring: "canary", was: "a", now: "b" },
      { ring: "late", was: null, now: "a" },
    ],
  });
});

const text = fc.string({ unit: "grapheme", maxLength: 30 });
const fields = {
  ...{ id: text, region: text, model: text, ring: text, code: text, reason: text, release: text, wanted: text },
  ...{ revision: text, contact: text, state: fc.constantFrom(...STATES), health: fc.constantFrom("", ...VERDICTS) },
} as const;
const anyDevice: fc.Arbitrary<ReportDevice> = fc.record(fields, { noNullPrototype: true });

test("what is embedded comes back as it was, whatever the words, and is no change against itself", () => {
  const devices = fc.uniqueArray(anyDevice, { selector: ({ id }) => id, maxLength: 20 });
  fc.assert(
    fc.property(devices, text, (list, fleet) => {
      const report = facts(list, { fleet });
      const element = embedFacts(report);
      assert.equal(element.match(/</g)?.length, 2, "the element's own tags alone");
      assert.deepEqual(extractFacts(`<p>before</p>${element}<script>after</script>`), report);
      assert.deepEqual(compareReports(report, report).devices, []);
    }),
  );
});

test("a file that is no report is none", () => {
  const whole = renderReport(fleetReport({ devices: 20 }));
  assert.equal(extractFacts(whole)?.devices.length, 20);
  const broken: [string, string][] = [
    ["empty", ""],
    ["another page", "<!doctype html><title>x</title>"],
    ["another version", whole.replace('"version":1', '"version":2')],
    ["cut off", whole.slice(0, whole.indexOf('"devices":') + 400)],
    ["a short column", whole.replace(/("ring":\{"values":\[[^\]]*\],"rows":\[)\d,/, "$1")],
    ["a word of nobody", whole.replace(/"state":\{"values":\["\w+"/, '"state":{"values":["splendid"')],
  ];
  for (const [name, page] of broken) {
    assert.notEqual(page, whole, name);
    assert.equal(extractFacts(page), undefined, name);
  }
});

test("a reason is told from its fix", () => {
  assert.deepEqual(splitReason("a - b - c"), { what: "a - b", fix: "c" });
  assert.deepEqual(splitReason("no answer"), { what: "no answer", fix: "" });
});

const OUTPUTS = {
  tokyo: {
    applied: { a: "v1.34.2+k3s1", b: "v1.34.2+k3s1" },
    pending: { c: { code: "unreachable", reason: "no answer from the host" } },
    failed: { d: { code: "disk", reason: "full - free some" } },
  },
};

test("the command writes the page, and the next one says what changed", async (context) => {
  const clone = await rolloutRepository(context);
  const sha = clone.git("rev-parse", "HEAD");
  await clone.run("promote", "canary", "--to", sha);
  const environment = fakePulumi(context, OUTPUTS);
  const status = statusFile(clone, { a: { revision: sha }, b: { revision: sha, healthy: false } });
  const run = (...args: string[]) => edgeFleet(["report", ...args], { environment, cwd: clone.directory });
  const { exitCode, stdout, stderr } = await run("--status", status);
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.match(
    stdout,
    /^acme: 2 applied, 1 pending, 1 failed\nhealth: 1 healthy, 1 failed, 2 unknown\nreport\.html: \d+ KiB\nNext: open file:\/\/\/\S+\/report\.html /,
  );
  const shown = await edgeFleet(["status", "--status", status], { environment, cwd: clone.directory });
  assert.match(shown.stdout, /^tokyo: 2 applied, 1 pending, 1 failed \(.*\)\nhealth: 1 healthy, 1 failed, 2 unknown$/m);
  const page = clone.read("report.html");
  assert.match(
    page,
    /state=pending"><b>1<\/b> pending<[\s\S]*state=failed"><b>1<|state=failed"><b>1<[\s\S]*health=unknown"><b>2</,
  );
  const report = extractFacts(page);
  assert.deepEqual(
    report?.devices.map(({ id, state, health, wanted }) => [id, state, health, wanted]),
    [
      ["a", "applied", "healthy", "v1.34.2+k3s1"],
      ["b", "applied", "failed", "v1.34.2+k3s1"],
      ["c", "pending", "unknown", "v1.34.2+k3s1"],
      ["d", "failed", "unknown", "v1.34.2+k3s1"],
    ],
  );
  assert.deepEqual(
    report?.rings.map(({ name, revision }) => [name, revision]),
    [
      ["canary", sha],
      ["broad", null],
    ],
  );
  assert.doesNotMatch(page, /10\.0\.0\.|id="changes"/, "no address of a device, and nothing to compare with");
  const { applied } = OUTPUTS.tokyo;
  const worse = { pending: { c: OUTPUTS.tokyo.pending.c }, failed: { a: { code: "x", reason: "y" } } };
  writeFileSync(join(environment.FOLDER ?? "", "tokyo.json"), JSON.stringify({ applied: { b: applied.b }, ...worse }));
  assert.equal((await run()).exitCode, 0);
  assert.match(clone.read("report.html"), /<td>Worse<\/td><td>1<\/td><td>applied, healthy to failed</);
  assert.deepEqual(
    readdirSync(clone.directory).filter((name) => name.endsWith(".tmp")),
    [],
  );
});

test("what is no report of this fleet is not overwritten", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": "region: tokyo\ndevices: []\n" });
  const environment = fakePulumi(context, { tokyo: {} });
  const folder = temporaryDirectory(context);
  const other = renderReport({ ...fleetReport({ devices: 1 }), fleet: "other" });
  const files: [name: string, content: string | undefined, message: RegExp][] = [
    ["notes.html", "my notes", /notes\.html holds something else than a report/],
    ["other.html", other, /other\.html is a report of the fleet other - give another file to --out/],
    ["folder.html", undefined, /folder\.html is no file of a report - give another one/],
    ["none/report.html", undefined, /none\/report\.html: cannot be written: ENOENT/],
  ];
  mkdirSync(join(folder, "folder.html"));
  for (const [name, content, message] of files) {
    const file = join(folder, name);
    if (content !== undefined) writeFileSync(file, content);
    const { exitCode, stderr } = await edgeFleet(["report", "--inventory", stacks, "--out", file], { environment });
    assert.equal(exitCode, 2, name);
    assert.match(stderr, message);
    if (content !== undefined) assert.equal(readFileSync(file, "utf8"), content);
  }
});

test("rings that cannot be read are told and left out, and with --serve nothing is written", async (context) => {
  const stacks = writeInventory(context, {
    "tokyo.yaml": "region: tokyo\ndevices:\n  - { id: a, host: 10.0.0.1, model: box }\n",
  });
  const cwd = temporaryDirectory(context);
  const env = { ...process.env, ...fakePulumi(context, OUTPUTS) };
  const child = spawn(process.execPath, [MAIN, "report", "--serve", "--inventory", stacks], { env, cwd });
  context.after(() => child.kill("SIGKILL"));
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  const address = await new Promise<string>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => resolve(/http:\S+/.exec(String(chunk))?.[0] ?? ""));
  });
  const page = await (await fetch(address)).text();
  assert.match(page, /<html lang="en" data-live>/);
  assert.match(page, /<li>the rings cannot be read: /);
  assert.deepEqual(
    extractFacts(page)?.devices.map(({ id }) => id),
    ["a", "b", "c", "d"],
  );
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  child.kill("SIGINT");
  assert.equal(await ended, 0);
  assert.match(stderr, /^the rings cannot be read: /);
  assert.ok(!existsSync(join(cwd, "report.html")));
});
