/** `edge-fleet check` as CI runs it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { edgeFleet } from "./command.ts";
import { rolloutRepository } from "./rollout-repository.ts";

const SECRET = "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { password: hunter2 }\n";

test("a good tree ends with 0, a bad one with 1 and one line a problem that CI can point at", async (context) => {
  const clone = await rolloutRepository(context);
  const good = await clone.run("check");
  assert.deepEqual([good.exitCode, good.stdout, good.stderr], [0, "fleet: nothing to refuse\n", ""]);
  clone.write("fleet/base/secret.yaml", SECRET);
  const bad = await clone.run("check");
  assert.equal(bad.exitCode, 1);
  assert.match(
    bad.stdout,
    /^fleet\/base\/secret\.yaml:4:25 stringData\.password: a Secret stands in the repository in the clear - [^\n]+\n$/,
  );
  assert.doesNotMatch(bad.stdout, /hunter2/);
  const { rendered, problems } = JSON.parse((await clone.run("check", "--json")).stdout) as {
    rendered: boolean;
    problems: { rule: string; file: string; line: number }[];
  };
  assert.equal(rendered, true);
  assert.deepEqual(
    problems.map(({ rule, file, line }) => [rule, file, line]),
    [["secret", "fleet/base/secret.yaml", 4]],
  );
});

test("settings with which a device cannot work are told at their place, beside what stands in the tree", async (context) => {
  const clone = await rolloutRepository(context);
  clone.write("stacks/fleet.yaml", clone.read("stacks/fleet.yaml").replace("v1.34.2", "v1.30.1"));
  clone.write("fleet/base/secret.yaml", SECRET);
  const { exitCode, stdout } = await clone.run("check");
  assert.equal(exitCode, 1);
  const [plan, tree, ...more] = stdout.trimEnd().split("\n");
  assert.match(
    plan ?? "",
    /^stacks\/fleet\.yaml:\d+:\d+ k3s\.version: v1\.30\.1\+k3s1 is not supported - use v1\.33\.0\+k3s1 or later \(device \S+ and \d+ more devices?\)$/,
  );
  assert.match(tree ?? "", /^fleet\/base\/secret\.yaml:4:25 /);
  assert.deepEqual(more, []);
  const json = JSON.parse((await clone.run("check", "--json")).stdout) as { plan: { errors: string[] } };
  assert.deepEqual(json.plan.errors, [plan]);
});

test("a pin whose device is gone is a warning, and no failure", async (context) => {
  const clone = await rolloutRepository(context);
  clone.write("stacks/tokyo.lock.yaml", "devices:\n  gone: { hostKey: ssh-ed25519 AAAA }\n");
  const { exitCode, stderr } = await clone.run("check");
  assert.equal(exitCode, 0);
  assert.match(
    stderr,
    /^warning: stacks\/tokyo\.lock\.yaml:2:9 devices\.gone: the inventory has no such device - run /m,
  );
});

test("policy.requireDigests false lets tags pass that do not move", async (context) => {
  const clone = await rolloutRepository(context, "policy: { requireDigests: false }\n");
  const image = (name: string) => {
    const path = "fleet/base/deployment.yaml";
    clone.write(path, clone.read(path).replace(/image: .*/, `image: ${name}`));
  };
  image("example.com/app:1.2.3");
  assert.equal((await clone.run("check")).exitCode, 0);
  image("example.com/app:latest");
  const { exitCode, stdout } = await clone.run("check");
  assert.equal(exitCode, 1);
  assert.match(stdout, /^fleet\/base\/deployment\.yaml:\d+:\d+ .*example\.com\/app:latest has a tag that moves/);
});

test("without kustomize less is checked, which is said, and --require-kustomize fails then", async (context) => {
  const clone = await rolloutRepository(context);
  const bin = mkdtempSync(join(tmpdir(), "edge-fleet-bin-"));
  context.after(() => rmSync(bin, { recursive: true }));
  symlinkSync("/usr/bin/git", join(bin, "git"));
  const run = (...args: string[]) => edgeFleet(args, { cwd: clone.directory, environment: { PATH: bin } });
  const less = await run("check");
  assert.equal(less.exitCode, 0);
  assert.match(less.stderr, /kustomize is not on PATH: memory, runtime classes .* were not checked/);
  assert.equal((await run("check", "--require-kustomize")).exitCode, 1);
});

test("a tree that is not there, and a leaf that is not, are problems that say what to run", async (context) => {
  const clone = await rolloutRepository(context);
  const nowhere = await clone.run("check", "--tree", "nowhere");
  assert.deepEqual(
    [nowhere.exitCode, nowhere.stdout, nowhere.stderr],
    [1, "nowhere:1:1 (file): is missing: it is the folder of the GitOps tree - run edge-fleet render\n", ""],
  );
  rmSync(join(clone.directory, "fleet/overlays/tokyo/other"), { recursive: true });
  const { exitCode, stdout } = await clone.run("check");
  assert.equal(exitCode, 1);
  assert.equal(
    stdout,
    "fleet/overlays/tokyo/other/kustomization.yaml:1:1 (file): is missing: region tokyo has devices of model other - run edge-fleet render\n",
  );
});

test("a broken inventory is told to programs too", async (context) => {
  const clone = await rolloutRepository(context);
  clone.write("stacks/fleet.yaml", clone.read("stacks/fleet.yaml").replace("v1.34.2", "latest"));
  const { exitCode, stdout, stderr } = await clone.run("check", "--json");
  assert.equal(exitCode, 2);
  const report = JSON.parse(stdout) as { inventory: string[]; problems: unknown[] };
  assert.equal(report.inventory.length, 1);
  assert.match(report.inventory[0] ?? "", /^stacks\/fleet\.yaml:\d+:\d+ k3s\.version: /);
  assert.deepEqual(report.problems, []);
  assert.ok(stderr.includes(report.inventory[0] ?? "none"));
});

test("of many problems that are alike a few are shown, and how many there are; programs get all", async (context) => {
  const clone = await rolloutRepository(context);
  const models = Array.from({ length: 12 }, (_, index) => `m${index}`);
  clone.write("stacks/models.yaml", models.map((name) => `${name}: { architecture: amd64, memory: 4Gi }\n`).join(""));
  const devices = models.map((model, index) => `  - { id: d${index}, host: 10.0.0.${index + 1}, model: ${model} }\n`);
  clone.write("stacks/tokyo.yaml", `region: tokyo\ndevices:\n${devices.join("")}`);
  const { exitCode, stdout } = await clone.run("check");
  assert.equal(exitCode, 1);
  const lines = stdout.trimEnd().split("\n");
  assert.deepEqual([lines.length, lines.at(-1)], [4, "... and 9 more like this"]);
  const { problems } = JSON.parse((await clone.run("check", "--json")).stdout) as { problems: unknown[] };
  assert.equal(problems.length, 12);
});
