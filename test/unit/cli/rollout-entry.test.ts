/** What `promote` and `rollback` change in the entries of a ring, on real repositories, for devices with an Argo CD of their own. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Clone, rolloutRepository, shareRepository, TOKYO } from "./rollout-repository.ts";

const DEVICES = TOKYO.replace(/gitops: .*/, "gitops: { engine: argocd }");
const WORKLOADS = `workloads:
  - { name: telemetry, path: workloads/telemetry, namespace: telemetry, models: [box] }
  - { name: camera, path: workloads/camera, namespace: camera, labels: { camera: "yes" } }
`;
const FORCE = ["--force", "a test does not soak"];
const ENTRY = "fleet/entry/canary/tokyo";

async function repository(context: TestContext): Promise<Clone> {
  const clone = await rolloutRepository(context, WORKLOADS, DEVICES);
  for (const name of ["telemetry", "camera"])
    clone.write(`fleet/workloads/${name}/kustomization.yaml`, `resources: []\nnamespace: ${name}\n`);
  clone.commit("Workloads");
  return clone;
}

async function run(clone: Clone, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await clone.run(...args);
  assert.equal(exitCode, 0, stderr + stdout);
  return stdout;
}

const changed = (clone: Clone, commit = "HEAD") => clone.git("show", "--name-only", "--format=", commit).split("\n");
const revisionIn = (clone: Clone, path: string) => /targetRevision: "?([0-9a-f]{40})/.exec(clone.read(path))?.[1];
/** What render would change is nothing. */
const upToDate = (clone: Clone) => run(clone, "render", "--check");

test("a promotion commits the ring's entries and the manifest beside its file, and render has nothing to add", async (context) => {
  const clone = await repository(context);
  const sha = clone.git("rev-parse", "HEAD");
  await run(clone, "promote", "canary", "--to", sha);
  assert.deepEqual(changed(clone), [
    "fleet/.fleet-manifest.json",
    `${ENTRY}/box/kustomization.yaml`,
    `${ENTRY}/box/workloads.yaml`,
    `${ENTRY}/other/kustomization.yaml`,
    `${ENTRY}/other/workloads.yaml`,
    "fleet/rings/canary.yaml",
  ]);
  await upToDate(clone);
  await run(clone, "promote", "canary", "--to", sha, "--workload", "telemetry");
  assert.deepEqual(changed(clone), [
    "fleet/.fleet-manifest.json",
    `${ENTRY}/box/kustomization.yaml`,
    `${ENTRY}/box/telemetry.yaml`,
    "fleet/rings/telemetry/canary.yaml",
  ]);
  await upToDate(clone);
  await run(clone, "promote", "canary", "--to", sha, "--workload", "camera");
  assert.ok(changed(clone).includes(`${ENTRY}/other/selected/camera/camera.yaml`));
  assert.ok(!clone.read(`${ENTRY}/other/kustomization.yaml`).includes("camera"));
  await upToDate(clone);
  const next = clone.change("debug");
  await run(clone, "promote", "canary", "--to", next);
  assert.deepEqual(changed(clone), [
    "fleet/.fleet-manifest.json",
    `${ENTRY}/box/workloads.yaml`,
    `${ENTRY}/other/workloads.yaml`,
    "fleet/rings/canary.yaml",
  ]);
  assert.equal(revisionIn(clone, `${ENTRY}/box/workloads.yaml`), next);
  assert.equal(revisionIn(clone, `${ENTRY}/box/telemetry.yaml`), sha, "the workload stays on its own commit");
  await upToDate(clone);
  await run(clone, "rollback", "canary", "--reason", "worse");
  assert.equal(revisionIn(clone, `${ENTRY}/other/workloads.yaml`), sha);
  await upToDate(clone);
  assert.equal(clone.git("status", "--porcelain"), "");
});

test("--push changes what the remote has and not what a stale clone would render, and both clones may promote at once", async (context) => {
  const ann = await repository(context);
  const bob = shareRepository(context, ann);
  const sha = ann.git("rev-parse", "HEAD");
  await run(ann, "promote", "canary", "--to", sha, "--push");
  // Ann adds a workload and deploys it; bob's clone knows nothing of it.
  const more = "  - { name: audio, path: workloads/telemetry, namespace: audio }\n";
  ann.write("stacks/fleet.yaml", ann.read("stacks/fleet.yaml") + more);
  await run(ann, "render");
  ann.commit("Audio");
  ann.git("push", "-q", "origin", "HEAD:main");
  await run(ann, "promote", "canary", "--to", "HEAD", "--workload", "audio", "--push");
  const next = bob.change("debug");
  bob.git("push", "-q", "origin", `${next}:refs/heads/work`);
  bob.git("fetch", "-q", "origin");
  await run(bob, "promote", "canary", "--to", next, "--push");
  ann.git("fetch", "-q", "origin");
  ann.git("reset", "-q", "--hard", "origin/main");
  assert.equal(revisionIn(ann, `${ENTRY}/box/workloads.yaml`), next);
  assert.match(ann.read(`${ENTRY}/box/kustomization.yaml`), /- audio\.yaml/);
  await upToDate(ann);
});

test("a promotion that loses the race for the branch is made again on what the winner pushed", async (context) => {
  const ann = await repository(context);
  const bob = shareRepository(context, ann);
  const sha = ann.git("rev-parse", "HEAD");
  await run(ann, "promote", "canary", "--to", sha, "--push");
  bob.git("pull", "-q", "--rebase");
  const results = await Promise.all([
    ann.run("promote", "broad", "--to", sha, "--push", ...FORCE),
    bob.run("promote", "canary", "--to", sha, "--workload", "telemetry", "--push"),
  ]);
  assert.deepEqual(
    results.map(({ exitCode }) => exitCode),
    [0, 0],
    results.map(({ stderr }) => stderr).join("\n"),
  );
  ann.git("fetch", "-q", "origin");
  ann.git("reset", "-q", "--hard", "origin/main");
  await upToDate(ann);
});

test("an entry with changes of the user is not committed along, unless they are the very ones", async (context) => {
  const clone = await repository(context);
  const sha = clone.git("rev-parse", "HEAD");
  await run(clone, "promote", "canary", "--to", sha);
  const file = `${ENTRY}/box/workloads.yaml`;
  clone.write(file, `${clone.read(file)}# mine\n`);
  const next = clone.git("rev-parse", "HEAD");
  const refused = await clone.run("promote", "canary", "--to", next);
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /entry\/canary\/tokyo\/box\/workloads\.yaml has changes that are not committed/);
  clone.git("checkout", "-q", "--", file);
  const written = await run(clone, "promote", "canary", "--to", next, "--no-commit");
  assert.match(
    written,
    /^Next: git add fleet\/rings\/canary\.yaml fleet\/entry fleet\/\.fleet-manifest\.json && git commit/m,
  );
  await upToDate(clone);
  await run(clone, "promote", "canary", "--to", next);
  assert.equal(clone.git("status", "--porcelain"), "");
  await upToDate(clone);
});
