import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import {
  describeRings,
  parseRing,
  RingError,
  readRings,
  renderRing,
  setRing,
} from "../../../components/gitops/rings.ts";
import { EXAMPLE, inFolder, TREACHEROUS_NAMES } from "./fleet.ts";

const SHA = "0123456789abcdef0123456789abcdef01234567";

test("a ring file is read back as it was written, also for names and revisions that look like numbers", () => {
  const revision = fc.oneof(
    fc.stringMatching(/^[0-9a-f]{40}$/),
    fc.stringMatching(/^[0-9]{40}$/),
    fc.stringMatching(/^[0-9]{20}e[0-9]{19}$/),
  );
  fc.assert(
    fc.property(fc.constantFrom("canary", ...TREACHEROUS_NAMES), revision, (ring, sha) => {
      const text = renderRing(ring, sha);
      assert.deepEqual(parseRing(`rings/${ring}.yaml`, text), { ring, revision: sha });
      assert.deepEqual(parse(text, { version: "1.1" }), { ring, revision: sha });
    }),
  );
});

for (const [text, problem] of [
  [`ring: canary\nrevision: main\n`, /^rings\/canary\.yaml:2:11 revision: is not a full commit SHA - write 40 /],
  [`ring: canary\nrevision: ${"1".repeat(40)}\n`, /^rings\/canary\.yaml:2:11 revision: is a number - write a string$/],
  [`ring: canary\n`, /^rings\/canary\.yaml:\d+:\d+ revision: is missing - /],
  [
    `ring: early\nrevision: "${SHA}"\n`,
    /^rings\/canary\.yaml:1:7 ring: is early in the file of canary - write canary$/,
  ],
  [
    `ring: canary\nrevision: "${SHA}"\nrevison: x\n`,
    /^rings\/canary\.yaml:3:1 revison: is not a known field - did you mean revision\?$/,
  ],
  [`ring: canary\nring: canary\nrevision: "${SHA}"\n`, /^rings\/canary\.yaml:2:1 /],
  [
    `ring: canary\nrevision: "${SHA}"\nworkload: telemetry\n`,
    /^rings\/canary\.yaml:3:11 workload: is telemetry - remove it$/,
  ],
  [`<<<<<<< HEAD\n`, /^rings\/canary\.yaml:1:1 /],
] as const) {
  test(`names the place and the mend of ${JSON.stringify(text.slice(0, 40))}`, () => {
    assert.throws(
      () => parseRing("rings/canary.yaml", text),
      (error: unknown) => error instanceof RingError && problem.test(error.problems[0] ?? ""),
    );
  });
}

test("rings without a file deploy nothing and are told with the command that sets them", () => {
  inFolder((directory) => {
    setRing(directory, "early", SHA);
    const rings = readRings(directory, EXAMPLE.rings);
    assert.deepEqual([...rings.revisions], [["early", SHA]]);
    assert.deepEqual(describeRings(rings), [
      "ring canary has no revision and deploys nothing - set it with `edge-fleet promote canary --to <sha>`",
      "ring broad has no revision and deploys nothing - set it with `edge-fleet promote broad --to <sha>`",
    ]);
  });
});

test("a tree that is not there yet has no revisions", () => {
  assert.deepEqual(readRings("/nonexistent/fleet", ["canary"]), {
    revisions: new Map(),
    missing: ["canary"],
    foreign: [],
  });
});

test("a ring file of no ring is told", () => {
  inFolder((directory) => {
    setRing(directory, "old", SHA);
    assert.deepEqual(describeRings(readRings(directory, [])), [
      "rings/old.yaml is of no ring of the fleet - delete it, or add the ring to fleet.yaml",
    ]);
  });
});

test("the problems of all ring files are told at once", () => {
  inFolder((directory) => {
    mkdirSync(join(directory, "rings"));
    writeFileSync(join(directory, "rings/canary.yaml"), "ring: canary\n");
    writeFileSync(join(directory, "rings/early.yaml"), "ring: early\nrevision: v1\n");
    symlinkSync("/etc/hostname", join(directory, "rings/broad.yaml"));
    assert.throws(
      () => readRings(directory, EXAMPLE.rings),
      (error: unknown) => error instanceof RingError && error.problems.length === 3,
    );
  });
});

test("promoting replaces the file in one step, and does not touch it when it already says so", () => {
  inFolder((directory) => {
    assert.deepEqual(setRing(directory, "canary", SHA), { path: "rings/canary.yaml", written: true });
    const file = join(directory, "rings/canary.yaml");
    const { ino, ctimeMs } = statSync(file);
    assert.deepEqual(setRing(directory, "canary", SHA), { path: "rings/canary.yaml", written: false });
    assert.deepEqual([statSync(file).ino, statSync(file).ctimeMs], [ino, ctimeMs]);
    setRing(directory, "canary", "f".repeat(40));
    assert.match(readFileSync(file, "utf8"), /^revision: "?f{40}"?$/m);
    assert.deepEqual(readdirSync(join(directory, "rings")), ["canary.yaml"]);
  });
});

test("a workload's rings are files of their own, which neither hide nor change those of the overlays", () => {
  inFolder((directory) => {
    const other = "f".repeat(40);
    setRing(directory, "canary", SHA);
    assert.deepEqual(setRing(directory, "canary", other, "telemetry"), {
      path: "rings/telemetry/canary.yaml",
      written: true,
    });
    assert.deepEqual([...readRings(directory, ["canary"]).revisions], [["canary", SHA]]);
    assert.deepEqual([...readRings(directory, ["canary"], "telemetry").revisions], [["canary", other]]);
    assert.deepEqual([...readRings(directory, ["canary"], "camera").revisions], []);
    const text = readFileSync(join(directory, "rings/telemetry/canary.yaml"), "utf8");
    assert.match(text, /edge-fleet promote canary --workload telemetry --to/);
    assert.throws(() => parseRing("rings/camera/canary.yaml", text, "camera"), /workload: is telemetry - write camera/);
  });
});

test("promoting mends a broken ring file", () => {
  inFolder((directory) => {
    mkdirSync(join(directory, "rings"));
    writeFileSync(join(directory, "rings/canary.yaml"), "<<<<<<< HEAD\n");
    setRing(directory, "canary", SHA);
    assert.equal(readRings(directory, ["canary"]).revisions.get("canary"), SHA);
  });
});

for (const [ring, revision, message] of [
  ["../base/x", SHA, /^ring \.\.\/base\/x: is not a ring's name - /],
  ["canary", "main", /^ring canary: revision main is not a full commit SHA - /],
  ["canary", SHA.slice(0, 12), /is not a full commit SHA/],
  ["canary", SHA.toUpperCase(), /is not a full commit SHA/],
] as const) {
  test(`promoting refuses ring ${ring} at ${revision}`, () => {
    inFolder((directory) => {
      assert.throws(() => setRing(directory, ring, revision), { message });
      assert.deepEqual(readdirSync(directory), []);
    });
  });
}

test("promoting refuses to write through a symbolic link", () => {
  inFolder((directory) => {
    symlinkSync("/tmp", join(directory, "rings"));
    assert.throws(() => setRing(directory, "canary", SHA), /rings is a symbolic link - remove it/);
  });
});
