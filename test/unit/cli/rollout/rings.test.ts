import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { ringPath } from "../../../../components/gitops/index.ts";
import { parseRing, RolloutFileError, readRings, renderRing } from "../../../../components/gitops/rings.ts";
import { inFolder, TREACHEROUS_NAMES } from "../../gitops/fleet.ts";

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
  [
    `ring: canary\nrevision: ${"1".repeat(40)}\n`,
    /^rings\/canary\.yaml:2:11 revision: is a number - put it in quotes$/,
  ],
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
  test(`names the place and the fix of ${JSON.stringify(text.slice(0, 40))}`, () => {
    assert.throws(
      () => parseRing("rings/canary.yaml", text),
      (error: unknown) => error instanceof RolloutFileError && problem.test(error.message.split("\n", 1)[0] ?? ""),
    );
  });
}

test("a ring without a file is none that deploys, and a tree that is not there yet has none", () => {
  inFolder((directory) => {
    writeRing(directory, "early", SHA);
    assert.deepEqual([...readRings(directory)], [["early", SHA]]);
  });
  assert.deepEqual(readRings("/nonexistent/fleet"), new Map());
});

test("the problems of all ring files are told at once", () => {
  inFolder((directory) => {
    mkdirSync(join(directory, "rings"));
    writeFileSync(join(directory, "rings/canary.yaml"), "ring: canary\n");
    writeFileSync(join(directory, "rings/early.yaml"), "ring: early\nrevision: v1\n");
    symlinkSync("/etc/hostname", join(directory, "rings/broad.yaml"));
    assert.throws(
      () => readRings(directory),
      (error: unknown) => error instanceof RolloutFileError && error.message.split("\n").length === 3,
    );
  });
});

test("a workload's rings are files of their own, which neither hide nor change those of the overlays", () => {
  inFolder((directory) => {
    const other = "f".repeat(40);
    writeRing(directory, "canary", SHA);
    writeRing(directory, "canary", other, "telemetry");
    assert.deepEqual([...readRings(directory)], [["canary", SHA]]);
    assert.deepEqual([...readRings(directory, "telemetry")], [["canary", other]]);
    assert.deepEqual([...readRings(directory, "camera")], []);
    const text = readFileSync(join(directory, "rings/telemetry/canary.yaml"), "utf8");
    assert.match(text, /edge-fleet promote canary --workload telemetry --to/);
    assert.throws(() => parseRing("rings/camera/canary.yaml", text, "camera"), /workload: is telemetry - write camera/);
  });
});

for (const [ring, revision, message] of [
  ["../base/x", SHA, /^ring \.\.\/base\/x: is not a ring's name - /],
  ["canary", "main", /^ring canary: revision main is not a full commit SHA - /],
  ["canary", SHA.slice(0, 12), /is not a full commit SHA/],
  ["canary", SHA.toUpperCase(), /is not a full commit SHA/],
] as const) {
  test(`a ring file is not made for ring ${ring} at ${revision}`, () => {
    assert.throws(() => renderRing(ring, revision), { message });
  });
}

/** Puts a ring's file where `edge-fleet promote` puts it. */
function writeRing(directory: string, ring: string, revision: string, workload?: string): void {
  const file = join(directory, ringPath(ring, workload));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, renderRing(ring, revision, workload));
}
