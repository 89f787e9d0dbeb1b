/**
 * A fleet of 13 regions and 8 models as its consumers see it: real Kustomize builds every leaf, and kubeconform judges all
 * that comes out by Kubernetes' and Argo CD's own schemas.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { buildManifests } from "../../../cli/manifests/build.ts";
import { listBuilds, listLeaves, renderTree } from "../../../components/gitops/tree.ts";
import type { TreeDevice, TreeInput } from "../../../components/gitops/tree-input.ts";
import { planTree, writeTree } from "../../../components/gitops/writer.ts";
import { predictApplications } from "../../prediction.ts";
import { FULL_EXAMPLE } from "./fleet.ts";
import { validate, writeArgoCdSchemas, writeKubernetesSchemas } from "./schemas.ts";

const REGIONS = 13;
const MODELS = 8;
const DEVICES = 1040;

const devices = Array.from({ length: DEVICES }, (_, index): TreeDevice => {
  const model = Math.floor(index / REGIONS) % MODELS;
  return {
    id: `device-${index}`,
    region: `region-${index % REGIONS}`,
    model: `model-${model}`,
    ring: FULL_EXAMPLE.rings[index % 3] ?? "",
    engine: model === 7 ? "flux" : "argocd-agent",
    wasm: model % 3 === 0 ? ["spin"] : [],
  };
});
const FLEET: TreeInput = {
  ...FULL_EXAMPLE,
  git: { ...FULL_EXAMPLE.git, layout: "rendered" },
  models: Object.fromEntries(
    Array.from({ length: MODELS }, (_, model) => [
      `model-${model}`,
      { architecture: model % 2 ? ("amd64" as const) : ("arm64" as const), memoryMiB: 1024 << (model % 4) },
    ]),
  ),
  devices,
  regions: Object.fromEntries(
    Array.from({ length: REGIONS }, (_, region) => [`region-${region}`, { timeZone: "Asia/Tokyo" }]),
  ),
  workloads: [],
};

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), "edge-fleet-leaves-"));
});
after(() => rmSync(directory, { recursive: true, force: true }));

test("every leaf of 13 regions and 8 models builds to objects that Kubernetes' schemas accept", async () => {
  const tree = join(directory, "fleet");
  writeTree(tree, planTree(tree, renderTree(FLEET)));
  const built = await buildManifests(tree, listBuilds(FLEET));
  assert.equal(built.size, REGIONS * MODELS);
  writeKubernetesSchemas(directory);
  const all = [...built.values()].join("---\n");
  const count = parseAllDocuments(all).length;
  assert.ok(count >= REGIONS * MODELS * 6);
  assert.match(validate(directory, all), new RegExp(`Valid: ${count}, Invalid: 0, Errors: 0, Skipped: 0`));
});

test("the schemas refuse a field that Kubernetes does not know", () => {
  writeKubernetesSchemas(directory);
  const pod = (field: string) =>
    JSON.stringify({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "x" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: {
          metadata: { labels: { a: "b" } },
          spec: { [field]: "spin", containers: [{ name: "x", image: "y" }] },
        },
      },
    });
  assert.match(validate(directory, pod("runtimeClassName")), /Valid: 1/);
  assert.throws(() => validate(directory, pod("runtimeClass")), /Invalid: 1/);
});

test("the devices are the sum of the leaves, and every leaf of a device with an agent is reached by an Application", () => {
  const leaves = listLeaves(devices);
  assert.equal(
    leaves.reduce((sum, leaf) => sum + leaf.devices, 0),
    DEVICES,
  );
  const revisions = new Map([["workloads", new Map(FLEET.rings.map((ring) => [ring, "a".repeat(40)]))]]);
  const regions = [...new Set(devices.map(({ region }) => region))];
  const predicted = regions.flatMap((region) => predictApplications(region, FLEET, revisions));
  assert.equal(predicted.length, devices.filter(({ engine }) => engine === "argocd-agent").length);
  const reached = new Set(predicted.map(({ path }) => path));
  const wanted = leaves
    .filter(({ model }) => model !== "model-7")
    .map(({ region, model }) => `fleet/rendered/${region}/${model}`);
  assert.deepEqual([...reached].sort(), wanted.sort());
  writeArgoCdSchemas(directory);
  const list = predicted.map(({ application }) => JSON.stringify(application)).join("\n---\n");
  assert.match(validate(directory, list), new RegExp(`Valid: ${predicted.length}, Invalid: 0, Errors: 0, Skipped: 0`));
});
