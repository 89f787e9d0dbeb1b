/** `edge-fleet freeze` on real repositories. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { rolloutRepository, shareRepository } from "./rollout-repository.ts";

test("a freeze is one commit of one file that is no ring, and lifting the last one deletes it", async (context) => {
  const clone = await rolloutRepository(context);
  clone.write("staged.txt", "x\n");
  clone.git("add", "staged.txt");
  const { exitCode, stdout, stderr } = await clone.run("freeze", "broad", "--reason", "holidays");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^broad: frozen$/m);
  assert.match(stdout, /^Next: git push/m);
  assert.equal(clone.git("show", "--name-only", "--format=%s", "HEAD"), "Freeze broad\n\nfleet/rollout/freeze.yaml");
  assert.match(clone.read("fleet/rollout/freeze.yaml"), /broad:\n +reason: holidays\n +since: "20/);
  const lifted = await clone.run("freeze", "broad", "--off");
  assert.equal(lifted.exitCode, 0, lifted.stderr);
  assert.match(lifted.stdout, /^broad: not frozen$/m);
  assert.ok(!existsSync(join(clone.directory, "fleet/rollout/freeze.yaml")));
  assert.equal(clone.git("log", "-1", "--format=%s"), "Lift the freeze of broad");
  assert.equal(clone.git("status", "--porcelain"), "A  staged.txt");
  const again = await clone.run("freeze", "broad", "--off");
  assert.equal(again.exitCode, 0, again.stderr);
  assert.match(again.stdout, /not frozen already, nothing to commit/);
});

test("the rendered tree stays up to date with a freeze in it", async (context) => {
  const clone = await rolloutRepository(context);
  assert.equal((await clone.run("freeze", "--all")).exitCode, 0);
  const { exitCode, stdout } = await clone.run("render", "--check");
  assert.equal(exitCode, 0, stdout);
});

test("a freeze of the fleet holds for each ring, and is lifted as a whole", async (context) => {
  const clone = await rolloutRepository(context);
  await clone.run("freeze", "broad");
  await clone.run("freeze", "--all", "--reason", "audit");
  const refused = await clone.run("promote", "canary", "--to", "HEAD");
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /ring canary is frozen since .*: audit/);
  const one = await clone.run("freeze", "broad", "--off");
  assert.equal(one.exitCode, 2);
  assert.match(
    one.stderr,
    /the whole fleet is frozen, ring broad with it - lift that with edge-fleet freeze --all --off/,
  );
  assert.equal((await clone.run("freeze", "--all", "--off")).exitCode, 0);
  assert.equal((await clone.run("promote", "canary", "--to", "HEAD~2")).exitCode, 0);
});

test("a freeze that nobody has committed yet holds already", async (context) => {
  const clone = await rolloutRepository(context);
  assert.equal((await clone.run("freeze", "canary", "--no-commit")).exitCode, 0);
  const refused = await clone.run("promote", "canary", "--to", "HEAD");
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /ring canary is frozen/);
});

test("a freeze is pushed, and holds for whoever pushes a promotion without having pulled it", async (context) => {
  const clone = await rolloutRepository(context);
  const other = shareRepository(context, clone);
  const { exitCode, stderr } = await clone.run("freeze", "canary", "--push", "--reason", "incident");
  assert.equal(exitCode, 0, stderr);
  const refused = await other.run("promote", "canary", "--to", "HEAD", "--push");
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /ring canary is frozen since .*: incident/);
  const lifted = await other.run("freeze", "canary", "--off", "--push", "--json");
  assert.equal(lifted.exitCode, 0, lifted.stderr);
  const told = JSON.parse(lifted.stdout) as Record<string, unknown>;
  assert.deepEqual([told.ring, told.frozen, told.written, told.pushed], ["canary", false, true, true]);
  other.git("fetch", "-q");
  assert.equal(other.git("ls-tree", "-r", "--name-only", "origin/main", "fleet/rollout"), "");
});

for (const [args, message] of [
  [["freeze"], /say what to freeze: either a ring or --all/],
  [["freeze", "broad", "--all"], /either a ring or --all/],
  [["freeze", "beta"], /ring beta is not one of the fleet's/],
  [["freeze", "broad", "--off", "--reason", "x"], /'--reason <text>' cannot be used with option '--off'/],
  [["freeze", "broad", "--push", "--no-commit"], /cannot be used with option '--no-commit'/],
] as const) {
  test(`edge-fleet ${args.join(" ")} changes nothing and ends with 2`, async (context) => {
    const clone = await rolloutRepository(context);
    const { exitCode, stderr } = await clone.run(...args);
    assert.equal(exitCode, 2);
    assert.match(stderr, message);
    assert.equal(clone.git("status", "--porcelain"), "");
  });
}
