/** `edge-fleet render --manifests` as CI runs it, with the real kustomize. */
import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { edgeFleet } from "./command.ts";
import { BASE_FILES, writeInventory } from "./inventory.ts";

const TOKYO =
  "region: tokyo\ndevices:\n  - { id: a, host: 10.0.0.1, model: box, ring: canary }\n  - { id: b, host: 10.0.0.2, model: other }\n";
const RENDERED = (BASE_FILES["fleet.yaml"] ?? "").replace('fleet.git" }', 'fleet.git", layout: rendered }');
const LEAF = "fleet/rendered/tokyo/box/manifests.yaml";

/** Runs the command beside a fresh inventory. */
function inFleet(context: TestContext, fleet: string, environment: Record<string, string> = {}) {
  const cwd = dirname(writeInventory(context, { "fleet.yaml": fleet, "tokyo.yaml": TOKYO }));
  return { cwd, run: (...args: string[]) => edgeFleet(["render", ...args], { cwd, environment }) };
}

test("the layout live has no manifests to build, and says which setting to change", async (context) => {
  const { run } = inFleet(context, BASE_FILES["fleet.yaml"] ?? "");
  const { exitCode, stderr } = await run("--manifests");
  assert.equal(exitCode, 2);
  assert.match(stderr, /git\.layout in fleet\.yaml is live - set it to rendered/);
});

test("one run writes the tree and its manifests, a second one changes nothing", async (context) => {
  const { cwd, run } = inFleet(context, RENDERED);
  const first = await run("--manifests");
  assert.equal(first.exitCode, 0, first.stderr);
  assert.match(first.stdout, /^create overlays\/tokyo\/box\/kustomization\.yaml$/m);
  assert.match(first.stdout, /^create rendered\/tokyo\/box\/manifests\.yaml$/m);
  assert.match(first.stdout, /^create rendered\/tokyo\/other\/manifests\.yaml$/m);
  assert.match(readFileSync(join(cwd, LEAF), "utf8"), /^kind: Deployment$/m);
  const check = await run("--manifests", "--check");
  assert.equal(check.exitCode, 0, check.stdout);
  const second = await run("--manifests", "--json");
  assert.deepEqual(
    { ...JSON.parse(second.stdout), tree: "" },
    {
      tree: "",
      stale: false,
      create: [],
      update: [],
      delete: [],
      refused: [],
      problems: [],
    },
  );
});

test("the check finds manifests that a change of the base has made stale, and writes nothing", async (context) => {
  const { cwd, run } = inFleet(context, RENDERED);
  assert.equal((await run("--manifests")).exitCode, 0);
  appendFileSync(join(cwd, "fleet/base/kustomization.yaml"), "commonAnnotations: {change: made}\n");
  const before = readFileSync(join(cwd, LEAF), "utf8");
  const { exitCode, stdout, stderr } = await run("--manifests", "--check");
  assert.equal(exitCode, 1);
  assert.match(stdout, /^update rendered\/tokyo\/box\/manifests\.yaml$/m);
  assert.match(stderr, /run: edge-fleet render --manifests, and commit/);
  assert.equal(readFileSync(join(cwd, LEAF), "utf8"), before);
  assert.equal((await run()).exitCode, 0, "a render without --manifests leaves them");
  assert.equal(readFileSync(join(cwd, LEAF), "utf8"), before);
});

test("the check does not build what is stale itself", async (context) => {
  const { cwd, run } = inFleet(context, RENDERED);
  const { exitCode, stderr } = await run("--manifests", "--check");
  assert.equal(exitCode, 1);
  assert.match(stderr, /the manifests were not built: what they are made of is stale/);
  assert.ok(!existsSync(join(cwd, "fleet")));
});

test("without kustomize and kubectl it says what to install", async (context) => {
  const without = (process.env.PATH ?? "").split(delimiter).filter((folder) => {
    return !["kustomize", "kubectl"].some((command) => existsSync(join(folder, command)));
  });
  const { run } = inFleet(context, RENDERED, { PATH: without.join(delimiter) });
  const { exitCode, stderr } = await run("--manifests");
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /neither kustomize nor kubectl is on PATH - install kustomize 5/);
});

test("the check fails on a tree that is up to date and holds what must not reach a device", async (context) => {
  const { cwd, run } = inFleet(context, BASE_FILES["fleet.yaml"] ?? "");
  assert.equal((await run()).exitCode, 0);
  const file = join(cwd, "fleet/base/deployment.yaml");
  writeFileSync(file, readFileSync(file, "utf8").replace(/image: \S+/, "image: registry.example.com/web:latest"));
  const { exitCode, stdout } = await run("--check");
  assert.equal(exitCode, 1);
  assert.match(stdout, /fleet\/base\/deployment\.yaml:\d+:\d+ .*registry\.example\.com\/web:latest/);
});
