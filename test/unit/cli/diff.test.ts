/** `edge-fleet diff` on real repositories, with the real kustomize. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory } from "./inventory.ts";
import { rolloutRepository } from "./rollout-repository.ts";

interface Told {
  readonly unchanged: number;
  readonly groups: readonly { readonly paths: string[]; readonly devices: number; readonly kind: string }[];
}

test("one change of the base is one group over all leaves, with the devices counted", async (context) => {
  const clone = await rolloutRepository(context);
  clone.change("info");
  const before = clone.git("status", "--porcelain");
  const { exitCode, stdout, stderr } = await clone.run("diff", "HEAD~1");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /2 of 2 folder\(s\) change for 4 device\(s\), in 1 different way\(s\)$/m);
  assert.match(stdout, /^ {2}-.*--level=warn$/m);
  assert.match(stdout, /^ {2}\+.*--level=info$/m);
  const markdown = await clone.run("diff", "HEAD~1", "HEAD", "--markdown");
  assert.match(
    markdown.stdout,
    /^<details><summary>4 device\(s\), 2 folder\(s\), changes: overlays\/tokyo\/box, overlays\/tokyo\/other<\/summary>$/m,
  );
  assert.equal(clone.git("status", "--porcelain"), before);
  assert.equal(clone.git("worktree", "list").split("\n").length, 1, "no work tree is left behind");
});

test("leaves that change differently are groups of their own; those that do not are counted and not built", async (context) => {
  const clone = await rolloutRepository(context);
  const team = (what: string, label: string) =>
    clone.write(
      `fleet/components/${what}/team/kustomization.yaml`,
      `apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{ pairs: { a: ${label} } }]\n`,
    );
  team("model/box", "x");
  clone.commit("Label the boxes");
  const told = JSON.parse((await clone.run("diff", "HEAD~1", "--json")).stdout) as Told;
  assert.equal(told.unchanged, 1);
  assert.deepEqual(
    told.groups.map(({ paths, devices, kind }) => [paths, devices, kind]),
    [[["overlays/tokyo/box"], 2, "changed"]],
  );
});

test("new leaves, leaves that are gone and workloads of their own are told", async (context) => {
  const clone = await rolloutRepository(
    context,
    "workloads: [{ name: camera, path: workloads/camera, namespace: camera, models: [box] }]\n",
  );
  clone.write("fleet/workloads/camera/kustomization.yaml", "resources: [map.yaml]\n");
  clone.write(
    "fleet/workloads/camera/map.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: camera }\ndata: { fps: '1' }\n",
  );
  clone.commit("Add the camera");
  clone.write("stacks/tokyo.yaml", clone.read("stacks/tokyo.yaml").replaceAll("model: other", "model: box"));
  assert.equal((await clone.run("render")).exitCode, 0);
  clone.write("fleet/workloads/camera/map.yaml", clone.read("fleet/workloads/camera/map.yaml").replace("'1'", "'2'"));
  clone.commit("Only boxes, and faster");
  const told = JSON.parse((await clone.run("diff", "HEAD~1", "--json")).stdout) as Told;
  assert.deepEqual(
    told.groups.map(({ paths, devices, kind }) => [paths.join(), devices, kind]),
    [
      ["workloads/camera", 4, "changed"],
      ["overlays/tokyo/other", 0, "removed"],
    ],
  );
  const back = JSON.parse((await clone.run("diff", "HEAD", "HEAD~1", "--json")).stdout) as Told;
  assert.ok(back.groups.some(({ kind, paths }) => kind === "added" && paths.join() === "overlays/tokyo/other"));
});

test("a leaf that does not build at the head ends with 1 and says where; at the base it is only told", async (context) => {
  const clone = await rolloutRepository(context);
  const good = clone.read("fleet/base/kustomization.yaml");
  clone.write("fleet/base/kustomization.yaml", good.replace("- service.yaml", "- gone.yaml"));
  clone.commit("Break the base");
  const broken = await clone.run("diff", "HEAD~1");
  assert.equal(broken.exitCode, 1);
  assert.match(broken.stdout, /^4 device\(s\), 2 folder\(s\), does not build: /m, "one reason, one group");
  assert.doesNotMatch(broken.stdout, /edge-fleet-diff-/, "the scratch folder is no news");
  clone.write("fleet/base/kustomization.yaml", good);
  clone.commit("Fix the base");
  const fixed = await clone.run("diff", "HEAD~1");
  assert.equal(fixed.exitCode, 0);
  assert.match(fixed.stdout, /base: .*gone\.yaml/);
});

test("a bare repository without any checkout is enough, and a commit without the tree is an empty one", async (context) => {
  const clone = await rolloutRepository(context);
  const head = clone.git("rev-parse", "HEAD");
  clone.git("checkout", "-q", "--orphan", "empty");
  clone.git("rm", "-r", "-q", "--cached", "fleet");
  clone.git("commit", "-q", "-m", "No tree");
  const bare = join(temporaryDirectory(context), "bare.git");
  clone.git("clone", "-q", "--bare", ".", bare);
  const { exitCode, stdout, stderr } = await clone.run("diff", "empty", head, "--tree", join(bare, "fleet"), "--json");
  assert.equal(exitCode, 0, stderr);
  const told = JSON.parse(stdout) as Told;
  assert.deepEqual(
    told.groups.map(({ kind, devices }) => [kind, devices]),
    [["added", 4]],
  );
});

test("unknown commits and a missing kustomize end with 2 and leave nothing behind", async (context) => {
  const clone = await rolloutRepository(context);
  const unknown = await clone.run("diff", "nowhere");
  assert.equal(unknown.exitCode, 2);
  assert.match(unknown.stderr, /has no commit nowhere/);
  const bin = mkdtempSync(join(tmpdir(), "edge-fleet-bin-"));
  context.after(() => rmSync(bin, { recursive: true }));
  symlinkSync("/usr/bin/git", join(bin, "git"));
  const scratch = temporaryDirectory(context);
  const { edgeFleet } = await import("./command.ts");
  const missing = await edgeFleet(["diff", "HEAD"], {
    cwd: clone.directory,
    environment: { PATH: bin, TMPDIR: scratch },
  });
  assert.equal(missing.exitCode, 2);
  assert.match(missing.stderr, /kustomize is not on PATH .* - install kustomize v5/);
  assert.deepEqual(
    readdirSync(scratch).filter((name) => name.startsWith("edge-fleet-diff-")),
    [],
  );
  assert.ok(existsSync(scratch));
});
