/** `edge-fleet promote --new-leaves` on real repositories and with the real kustomize. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Clone, hoursAgo, rolloutRepository, shareRepository, TOKYO } from "./rollout-repository.ts";

const DEVICES = TOKYO.replace(/gitops: .*/, "gitops: { engine: argocd }");
const OSAKA =
  "region: osaka\ngitops: { engine: argocd }\ndevices:\n  - { id: o, host: 10.1.0.1, model: box, ring: canary }\n";

async function run(clone: Clone, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await clone.run(...args);
  assert.equal(exitCode, 0, stderr + stdout);
  return stdout;
}

/** Ring canary runs the first commit; main has moved on; then region osaka comes. */
async function heldFleet(context: TestContext, fleet = "") {
  const clone = await rolloutRepository(context, fleet, DEVICES);
  const held = clone.git("rev-parse", "HEAD");
  clone.setDate(hoursAgo(5));
  await run(clone, "promote", "canary", "--to", held);
  clone.setDate(new Date());
  clone.change("debug");
  clone.write("stacks/osaka.yaml", OSAKA);
  await run(clone, "render");
  clone.commit("Osaka");
  return { clone, held };
}

test("a new region reaches a held ring as a commit on top of what it runs, with nothing of main", async (context) => {
  const { clone, held } = await heldFleet(context);
  const refused = await clone.run("promote", "canary", "--to", held);
  assert.equal(refused.exitCode, 0, "the ring file is as wanted already");
  const lacking = await clone.run("check");
  assert.equal(lacking.exitCode, 1);
  assert.match(
    lacking.stdout,
    /^fleet\/rings\/canary\.yaml:3:11 revision: \w{12} lacks overlays\/osaka\/box, which devices of ring canary deploy - run edge-fleet promote canary --new-leaves$/m,
  );
  const told = await run(clone, "promote", "canary", "--new-leaves");
  assert.doesNotMatch((await clone.run("check")).stdout, /lacks/);
  assert.match(told, /which only adds\n {2}overlays\/osaka\/box\n/);
  assert.match(told, /^Next: git push: devices follow branch main; git push origin edge-fleet\/canary$/m);
  const made = clone.git("rev-parse", "edge-fleet/canary");
  assert.equal(clone.git("rev-parse", "edge-fleet/canary^"), held);
  assert.match(clone.read("fleet/rings/canary.yaml"), new RegExp(made));
  assert.deepEqual(clone.git("diff", "--name-status", held, made).split("\n"), [
    "A\tfleet/components/region/osaka/kustomization.yaml",
    "A\tfleet/components/region/osaka/team/kustomization.yaml",
    "A\tfleet/overlays/osaka/box/kustomization.yaml",
  ]);
  assert.doesNotMatch(clone.git("show", `${made}:fleet/base/deployment.yaml`), /debug/);
  assert.match(clone.read("fleet/entry/canary/osaka/box/workloads.yaml"), new RegExp(made));
  await run(clone, "render", "--check");
  assert.equal(clone.git("log", "-1", "--format=%s"), `Add leaves to canary at ${made.slice(0, 12)}`);
  assert.match(await run(clone, "promote", "canary", "--new-leaves"), /has every leaf that its devices deploy/);
});

test("new leaves neither restart a soak nor stand in the way of a rollback or of the next release", async (context) => {
  const { clone, held } = await heldFleet(context);
  await run(clone, "promote", "canary", "--new-leaves");
  const status = clone.git("rev-parse", "HEAD");
  const early = await clone.run("promote", "broad", "--dry-run", "--no-diff");
  assert.doesNotMatch(early.stderr, /promote broad in/, "the soak of the release counts");
  const next = clone.git("rev-parse", "HEAD");
  const told = await run(clone, "promote", "canary", "--to", next);
  assert.doesNotMatch(told, /devices go back/);
  assert.notEqual(status, clone.git("rev-parse", "HEAD"));
  await run(clone, "rollback", "canary", "--no-diff");
  assert.match(clone.read("fleet/rings/canary.yaml"), new RegExp(clone.git("rev-parse", "edge-fleet/canary")));
  const past = await clone.run("rollback", "canary", "--no-diff");
  assert.equal(past.exitCode, 2, "there is no release before");
  assert.match(past.stderr, /has run no other commit before/);
  assert.notEqual(held, next);
});

test("a second new region comes on top of the first, and the ring's branch only moves forward", async (context) => {
  const { clone } = await heldFleet(context);
  const second = shareRepository(context, clone);
  await run(clone, "promote", "canary", "--new-leaves", "--push");
  const first = clone.git("rev-parse", "origin/edge-fleet/canary");
  second.git("pull", "-q", "--rebase");
  second.write(
    "stacks/kyoto.yaml",
    OSAKA.replace("region: osaka", "region: kyoto").replace("id: o,", "id: k,").replace("10.1.", "10.2."),
  );
  await run(second, "render");
  second.commit("Kyoto");
  second.git("push", "-q", "origin", "HEAD:main");
  await run(second, "promote", "canary", "--new-leaves", "--push");
  const made = second.git("rev-parse", "origin/edge-fleet/canary");
  assert.equal(second.git("rev-parse", `${made}^`), first);
  second.git("merge", "-q", "--ff-only", "origin/main");
  await run(second, "render", "--check");
});

test("a rendered leaf holds the manifests of what the ring runs, not those of main", async (context) => {
  const clone = await rolloutRepository(context, "", DEVICES);
  clone.write(
    "stacks/fleet.yaml",
    clone.read("stacks/fleet.yaml").replace('fleet.git" }', 'fleet.git", layout: rendered }'),
  );
  await run(clone, "render", "--manifests");
  await run(clone, "promote", "canary", "--to", clone.commit("Rendered"), "--no-diff");
  clone.change("debug");
  clone.write("stacks/osaka.yaml", OSAKA);
  await run(clone, "render", "--manifests");
  clone.commit("Osaka");
  await run(clone, "promote", "canary", "--new-leaves");
  const manifests = (commit: string) => clone.git("show", `${commit}:fleet/rendered/osaka/box/manifests.yaml`);
  assert.match(manifests("HEAD"), /--level=debug/);
  assert.match(manifests("edge-fleet/canary"), /--level=warn/);
  await run(clone, "render", "--check");
});

test("--new-leaves takes no other commit, and nothing for a ring that deploys nothing", async (context) => {
  const clone = await rolloutRepository(context, "", DEVICES);
  const other = await clone.run("promote", "canary", "--new-leaves", "--to", "HEAD");
  assert.equal(other.exitCode, 2);
  assert.match(other.stderr, /--new-leaves takes neither --to, --from nor --force/);
  const nothing = await clone.run("promote", "canary", "--new-leaves");
  assert.equal(nothing.exitCode, 2);
  assert.match(nothing.stderr, /ring canary deploys nothing yet - promote it with --to <commit>/);
});
