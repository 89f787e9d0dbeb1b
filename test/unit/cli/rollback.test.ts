/** `edge-fleet rollback`, `rings` and `status` on real repositories. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hoursAgo, rolloutRepository, shareRepository, statusFile } from "./rollout-repository.ts";

test("a rollback goes back step by step, past what was rolled back before, and ends at the first commit", async (context) => {
  const clone = await rolloutRepository(context);
  const revisions = [clone.git("rev-parse", "HEAD"), clone.change("info"), clone.change("debug")];
  const now = () => /[0-9a-f]{40}/.exec(clone.read("fleet/rings/canary.yaml"))?.[0];
  const promote = async (revision: string | undefined): Promise<void> => {
    const { exitCode, stderr } = await clone.run("promote", "canary", "--to", revision ?? "", "--no-diff");
    assert.equal(exitCode, 0, stderr);
  };
  for (const revision of revisions) await promote(revision);
  const [first, second, third] = revisions;
  const { exitCode, stdout, stderr } = await clone.run("rollback", "canary", "--reason", "pods crash");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, new RegExp(`^canary: ${third} -> ${second}$`, "m"));
  assert.match(stdout, /^2 device\(s\), 2 folder\(s\), changes:/m);
  assert.equal(clone.git("log", "-1", "--format=%s"), `Roll back canary to ${second?.slice(0, 12)}`);
  assert.deepEqual(clone.git("log", "-1", "--format=%(trailers:only)").split("\n"), [
    "Ring: canary",
    `Revision: ${second}`,
    `Previous: ${third}`,
    "Devices: 2",
    "Reason: pods crash",
  ]);
  const again = await clone.run("rollback", "canary", "--no-diff");
  assert.equal(again.exitCode, 0, again.stderr);
  assert.equal(now(), first, "not to the commit that was just rolled back");
  const end = await clone.run("rollback", "canary");
  assert.equal(end.exitCode, 2);
  assert.match(end.stderr, /ring canary has run no other commit before - promote it to a good one instead/);
});

test("git revert of a promotion counts as the rollback that it is", async (context) => {
  const clone = await rolloutRepository(context);
  const first = clone.git("rev-parse", "HEAD");
  for (const revision of [first, clone.change("info"), clone.change("debug")])
    await clone.run("promote", "canary", "--to", revision, "--no-diff");
  clone.git("revert", "--no-edit", "HEAD");
  const { exitCode, stdout, stderr } = await clone.run("rollback", "canary", "--no-diff");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, new RegExp(`-> ${first}$`, "m"));
});

test("a rollback is allowed while the ring soaks and is frozen, and names the later rings without touching them", async (context) => {
  const clone = await rolloutRepository(context);
  const first = clone.git("rev-parse", "HEAD");
  const second = clone.change("info");
  for (const ring of ["canary", "broad"])
    for (const revision of [first, second])
      await clone.run("promote", ring, "--to", revision, "--no-diff", "--force", "test");
  assert.equal((await clone.run("freeze", "--all")).exitCode, 0);
  const { exitCode, stdout, stderr } = await clone.run("rollback", "canary", "--no-diff");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^Ring broad still runs what was rolled back - roll it back too: edge-fleet rollback broad$/m);
  assert.match(clone.read("fleet/rings/broad.yaml"), new RegExp(second));
  const json = JSON.parse((await clone.run("rollback", "broad", "--no-diff", "--json")).stdout) as Record<
    string,
    unknown
  >;
  assert.deepEqual([json.revision, json.previous, json.later, json.written], [first, second, [], true]);
});

test("a rollback to a commit that the ring never ran, or that lacks a new leaf, says so", async (context) => {
  const clone = await rolloutRepository(context);
  const first = clone.git("rev-parse", "HEAD");
  const between = clone.change("info");
  const second = clone.change("debug");
  for (const revision of [first, second]) await clone.run("promote", "canary", "--to", revision, "--no-diff");
  const foreign = await clone.run("rollback", "canary", "--to", between);
  assert.equal(foreign.exitCode, 2);
  assert.match(
    foreign.stderr,
    new RegExp(`does not go back to ${between.slice(0, 12)}.* - use one of ${first.slice(0, 12)}, or promote`),
  );
  clone.write("stacks/models.yaml", `${clone.read("stacks/models.yaml")}new: { architecture: arm64, memory: 4Gi }\n`);
  clone.write(
    "stacks/tokyo.yaml",
    `${clone.read("stacks/tokyo.yaml")}  - { id: n, host: 10.0.0.9, model: new, ring: canary }\n`,
  );
  const { exitCode, stderr } = await clone.run("rollback", "canary", "--no-diff");
  assert.equal(exitCode, 0, stderr);
  assert.match(stderr, /warning: .* has no overlays\/tokyo\/new: its devices stay on what they run/);
});

test("a rollback is pushed like a promotion", async (context) => {
  const clone = await rolloutRepository(context);
  const first = clone.git("rev-parse", "HEAD");
  const second = clone.change("info");
  const other = shareRepository(context, clone);
  for (const revision of [first, second])
    assert.equal((await clone.run("promote", "canary", "--to", revision, "--push", "--no-diff")).exitCode, 0);
  const { exitCode, stderr } = await other.run("rollback", "canary", "--push", "--no-diff");
  assert.equal(exitCode, 0, stderr);
  clone.git("pull", "-q");
  assert.match(clone.read("fleet/rings/canary.yaml"), new RegExp(first));
});

test("rings shows what runs, since when, what is left of the soak, freezes and health", async (context) => {
  const clone = await rolloutRepository(context);
  const sha = clone.git("rev-parse", "HEAD");
  clone.setDate(hoursAgo(1));
  await clone.run("promote", "canary", "--to", sha);
  clone.setDate(new Date());
  await clone.run("freeze", "broad", "--reason", "holidays");
  const status = statusFile(clone, { a: { revision: sha }, b: { revision: sha, healthy: false } });
  const { exitCode, stdout, stderr } = await clone.run("rings", "--status", status);
  assert.equal(exitCode, 0, stderr);
  const [header, canary, broad] = stdout.split("\n");
  assert.match(header ?? "", /^RING +REVISION +SINCE +SOAK LEFT +DEVICES +FROZEN +HEALTH$/);
  assert.match(
    canary ?? "",
    new RegExp(`^canary +${sha.slice(0, 12)} +[-0-9T:]{16} +2h +2 +not healthy: 1 of 2 device`),
  );
  assert.match(broad ?? "", /^broad +nothing +2 +holidays$/);
  const { rings } = JSON.parse((await clone.run("rings", "--json")).stdout) as { rings: Record<string, unknown>[] };
  assert.deepEqual(
    rings.map(({ ring, revision, health }) => [ring, revision, health]),
    [
      ["canary", sha, null],
      ["broad", null, null],
    ],
  );
});
