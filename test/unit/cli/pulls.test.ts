/** `edge-fleet explain --pulls` on an inventory and a tree on disk. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { renderRing } from "../../../components/gitops/rings.ts";
import { edgeFleet } from "./command.ts";
import { writeInventory } from "./inventory.ts";

const SHA = "0123456789abcdef0123456789abcdef01234567";
const TOKYO = `region: tokyo
devices:
  - { id: a, host: 10.0.0.1, model: box, ring: canary, gitops: { engine: flux } }
  - { id: b, host: 10.0.0.2, model: box, ring: canary, gitops: { engine: argocd } }
  - { id: c, host: 10.0.0.3, model: box, ring: canary, gitops: { engine: argocd-agent } }
  - { id: d, host: 10.0.0.4, model: box, ring: canary, joins: c }
  - { id: e, host: 10.0.0.5, model: box, ring: canary, gitops: { engine: none } }
`;

function pulls(context: TestContext, pinned: boolean) {
  const cwd = dirname(writeInventory(context, { "tokyo.yaml": TOKYO }));
  mkdirSync(join(cwd, "fleet/rings"), { recursive: true });
  if (pinned) writeFileSync(join(cwd, "fleet/rings/canary.yaml"), renderRing("canary", SHA));
  return (device: string) => edgeFleet(["explain", device, "--pulls"], { cwd });
}

for (const [device, engine, kinds, place] of [
  [
    "a",
    "flux",
    ["GitRepository", "Kustomization", "Namespace", "GitRepository", "Kustomization"],
    "in its own cluster, brought by up, and what follows the Kustomization edge-root by Git",
  ],
  [
    "b",
    "argocd",
    ["AppProject", "AppProject", "AppProject", "Application", "Application"],
    "in its own cluster, brought by up, and the Applications below edge-root by Git",
  ],
  ["c", "argocd-agent", ["Application"], "on the hub, made by its ApplicationSets"],
] as const) {
  test(`prints what a device pulls with ${engine} at the commit that its ring pins`, async (context) => {
    const { exitCode, stdout, stderr } = await pulls(context, true)(device);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.ok(stdout.startsWith(`# What ${device} pulls with ${engine}: ${place}.\n`), stdout);
    const accounts = /^(Cluster)?Role(Binding)?$|^ServiceAccount$|^ValidatingAdmissionPolicy(Binding)?$/;
    const documents = parseAllDocuments(stdout, { version: "1.1" }).map((document) => document.toJS());
    assert.deepEqual(
      documents.map(({ kind }) => kind).filter((kind) => !accounts.test(kind)),
      kinds,
    );
    assert.match(stdout, new RegExp(SHA));
  });
}

test("says that nothing is pulled where the ring pins no commit, and prints no object", async (context) => {
  const { exitCode, stdout, stderr } = await pulls(context, false)("c");
  assert.deepEqual([exitCode, stdout], [0, ""]);
  assert.match(stderr, /^ring canary pins no commit: c pulls nothing - use edge-fleet promote canary\n$/);
});

test("says of a device without an engine that it pulls nothing, whatever its ring pins", async (context) => {
  const { exitCode, stdout, stderr } = await pulls(context, true)("e");
  assert.deepEqual([exitCode, stdout], [0, ""]);
  assert.match(stderr, /^gitops\.engine is none: e pulls nothing - /);
});

test("refuses a machine that joins another one's cluster, and a device that is not there", async (context) => {
  const run = pulls(context, true);
  const joined = await run("d");
  assert.equal(joined.exitCode, 2);
  assert.match(
    joined.stderr,
    /device d is a node of another one's cluster and pulls nothing - use the device it joins/,
  );
  const unknown = await run("z");
  assert.equal(unknown.exitCode, 2);
  assert.match(unknown.stderr, /device z is in no region/);
});
