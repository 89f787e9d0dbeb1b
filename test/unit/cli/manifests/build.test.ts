/** The layout `rendered`: real Kustomize builds the leaves, and their files follow the rules of all emitted ones. */
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { buildManifests, withManifests } from "../../../../cli/manifests/build.ts";
import { parseManifest } from "../../../../components/gitops/manifest.ts";
import { listBuilds, renderTree } from "../../../../components/gitops/tree.ts";
import type { TreeInput } from "../../../../components/gitops/tree-input.ts";
import { planTree, TreeRefusedError, writeTree } from "../../../../components/gitops/writer.ts";
import { FULL_EXAMPLE, inFolderAsync, readFolder } from "../../gitops/fleet.ts";
import { runTool } from "../../gitops/tools.ts";

const RENDERED: TreeInput = { ...FULL_EXAMPLE, git: { ...FULL_EXAMPLE.git, layout: "rendered" } };
const LEAF = "rendered/tokyo/rpi4-4g/manifests.yaml";

const writeLive = (directory: string, fleet: TreeInput) => {
  writeTree(directory, planTree(directory, renderTree(fleet)));
};

/** What `edge-fleet render --manifests` does. */
async function writeAll(directory: string, fleet: TreeInput, parallel?: number): Promise<void> {
  writeLive(directory, fleet);
  const built = await buildManifests(directory, listBuilds(fleet), parallel);
  writeTree(directory, planTree(directory, withManifests(renderTree(fleet), built)));
}

/** The team's workloads. */
function addWorkloads(directory: string): void {
  for (const { path, name } of RENDERED.workloads ?? []) {
    mkdirSync(join(directory, path), { recursive: true });
    writeFileSync(
      join(directory, path, "kustomization.yaml"),
      `apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nconfigMapGenerator: [{name: ${name}, literals: [a=b]}]\n`,
    );
  }
}

test("every leaf and workload is rendered to what Kustomize makes of it, the same for one worker and for several", async () => {
  await inFolderAsync(async (directory) => {
    addWorkloads(directory);
    await writeAll(directory, RENDERED, 1);
    const builds = listBuilds(RENDERED);
    assert.equal(builds.length, 7, "five leaves and two workloads");
    for (const { source, target } of builds) {
      const content = readFileSync(join(directory, target, "manifests.yaml"), "utf8");
      assert.match(content, /^# Emitted by edge-fleet .*\n# Change .* and run `edge-fleet render --manifests`\.\n/);
      const expected = runTool("kustomize", ["build", join(directory, source)]);
      assert.equal(content.replace(/^(# .*\n)+/, ""), expected, target);
      assert.equal(runTool("kustomize", ["build", join(directory, target)]), expected, `${target} as Kustomize source`);
    }
    const before = [...readFolder(directory)];
    await writeAll(directory, RENDERED, 8);
    assert.deepEqual([...readFolder(directory)], before);
    const again = await buildManifests(directory, builds);
    const changes = planTree(directory, withManifests(renderTree(RENDERED), again));
    assert.deepEqual([changes.create, changes.update, changes.delete, changes.refused], [[], [], [], []]);
  });
});

test("a write of the tree alone keeps rendered files and the manifest's word of them", async () => {
  await inFolderAsync(async (directory) => {
    addWorkloads(directory);
    await writeAll(directory, RENDERED);
    const before = [...readFolder(directory)];
    writeLive(directory, RENDERED);
    assert.deepEqual([...readFolder(directory)], before);
    const manifest = parseManifest("x", readFileSync(join(directory, ".fleet-manifest.json"), "utf8"));
    assert.ok(manifest.has(LEAF));
  });
});

test("a change of a base shows in every leaf that includes it", async () => {
  await inFolderAsync(async (directory) => {
    addWorkloads(directory);
    await writeAll(directory, RENDERED);
    appendFileSync(join(directory, "base/kustomization.yaml"), "commonAnnotations: {change: made}\n");
    const built = await buildManifests(directory, listBuilds(RENDERED));
    const { update } = planTree(directory, withManifests(renderTree(RENDERED), built));
    assert.equal(update.length, 5, "the five leaves and none of the workloads");
  });
});

test("a rendered file that was changed by hand is refused with the difference, and nothing is written", async () => {
  await inFolderAsync(async (directory) => {
    addWorkloads(directory);
    await writeAll(directory, RENDERED);
    appendFileSync(join(directory, LEAF), "# mine\n");
    const before = [...readFolder(directory)];
    await assert.rejects(
      writeAll(directory, RENDERED),
      (error) => error instanceof TreeRefusedError && error.message.includes("    -# mine"),
    );
    assert.deepEqual([...readFolder(directory)], before);
  });
});

test("a leaf that has no device any more goes with its rendered files, and the layout live takes all of them away", async () => {
  await inFolderAsync(async (directory) => {
    addWorkloads(directory);
    await writeAll(directory, RENDERED);
    const devices = RENDERED.devices.filter(({ region }) => region === "tokyo");
    writeLive(directory, { ...RENDERED, devices });
    const rendered = () => [...readFolder(directory).keys()].filter((path) => path.startsWith("rendered/"));
    assert.ok(rendered().length > 0);
    assert.deepEqual(
      rendered().filter((path) => path.includes("osaka")),
      [],
    );
    writeLive(directory, { ...FULL_EXAMPLE, devices });
    assert.deepEqual(rendered(), []);
  });
});

test("every folder that cannot be built is named with the reason", async () => {
  await inFolderAsync(async (directory) => {
    addWorkloads(directory);
    writeLive(directory, RENDERED);
    rmSync(join(directory, "workloads/vision/kustomization.yaml"));
    await assert.rejects(buildManifests(directory, listBuilds(RENDERED)), (error: Error) => {
      const lines = error.message.split("\n");
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? "", /workloads\/vision: kustomize cannot build it: .* - fix it and run again$/);
      return true;
    });
  });
});

test("the layout live has nothing to build and writes no rendered file", async () => {
  assert.deepEqual(listBuilds(FULL_EXAMPLE), []);
  assert.equal((await buildManifests("/nowhere", [])).size, 0);
  assert.deepEqual(
    [...renderTree(FULL_EXAMPLE).keys()].filter((path) => path.startsWith("rendered/")),
    [],
  );
});
