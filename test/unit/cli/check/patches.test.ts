/** Patches of single devices, which the checks of a tree build with the real kustomize as a device would. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { checkTree } from "../../../../cli/check/tree.ts";
import { formatTreeProblem } from "../../../../cli/manifests/objects.ts";
import { renderTree } from "../../../../components/gitops/tree.ts";
import type { TreeInput, TreePatch } from "../../../../components/gitops/tree-input.ts";
import { planTree, writeTree } from "../../../../components/gitops/writer.ts";
import { formatPath } from "../../../../components/inventory/problems.ts";
import { EXAMPLE } from "../../gitops/fleet.ts";

const SHOP = { name: "shop", path: "workloads/shop", namespace: "shop", regions: ["tokyo"] };
const IMAGE = `example.com/shop@sha256:${"0a".repeat(32)}`;
const FILES = {
  "workloads/shop/kustomization.yaml": "namespace: shop\nnamePrefix: acme-\nresources: [web.yaml]\n",
  "workloads/shop/web.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: main, image: "${IMAGE}" }] }
`,
};
const FLEET: TreeInput = {
  ...EXAMPLE,
  devices: EXAMPLE.devices.map((device) => ({ ...device, engine: "argocd", labels: { site: device.region } })),
  workloads: [SHOP],
};
const WEB = { kind: "Deployment", name: "web" };
const REPLICAS = JSON.stringify([{ op: "add", path: "/spec/replicas", value: 2 }]);

/** What the checks say of the patches, with the field in the place of line and column. */
async function check(
  context: TestContext,
  patches: readonly TreePatch[],
  fleet = FLEET,
  change = (_: string) => {},
): Promise<string[]> {
  const directory = join(mkdtempSync(join(tmpdir(), "edge-fleet-patches-")), "fleet");
  context.after(() => rmSync(dirname(directory), { recursive: true }));
  writeTree(directory, planTree(directory, renderTree(fleet)));
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  change(directory);
  const locate = {
    fleet: (field: readonly PropertyKey[]) => ({ file: `fleet.yaml#${formatPath(field)}`, line: 1, column: 1 }),
    models: () => assert.fail(),
  };
  const problems = await checkTree(directory, { ...fleet, patches }, { fleet: {}, locate });
  for (const { message } of problems) assert.doesNotMatch(message, new RegExp(tmpdir()));
  return problems.map((problem) => formatTreeProblem(problem).replace(/^fleet\.yaml#(\S+):1:1 \1 /, "$1 "));
}

test("patches that do what they say pass, also before names are prefixed and after an object is deleted", async (context) => {
  const merge = (more: string) => `apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\n${more}`;
  const patches: TreePatch[] = [
    { workload: "shop", devices: ["tokyo-0001"], patch: merge("spec: { replicas: 2 }\n") },
    { workload: "shop", devices: ["tokyo-0001", "tokyo-0002"], target: WEB, patch: REPLICAS },
    { workload: "shop", devices: ["tokyo-0002"], target: WEB, patch: merge("$patch: delete\n") },
    { labels: { site: "osaka" }, target: WEB, patch: REPLICAS },
  ];
  assert.deepEqual(await check(context, patches), []);
  const git = { ...FLEET.git, layout: "rendered" as const };
  const rendered = await check(context, patches, { ...FLEET, git });
  assert.deepEqual(
    rendered.map((line) => line.replace(/ - .*/, "").replace(/(build): .*/, "$1")),
    [
      "patches[0].patch (rendered/_workloads/shop): on device tokyo-0001: breaks the build",
      "patches[1].target (rendered/_workloads/shop): on device tokyo-0002: selects no object",
      "patches[2].target (rendered/_workloads/shop): on device tokyo-0002: selects no object",
    ],
    "the names of a rendered folder are those that its devices read",
  );
});

const wrong: [what: string, patch: TreePatch, problem: RegExp][] = [
  [
    "selects nothing",
    { workload: "shop", devices: ["tokyo-0001"], target: { kind: "StatefulSet" }, patch: REPLICAS },
    /^patches\[1\]\.target \(workloads\/shop\): on device tokyo-0001: selects no object - correct the target, or leave the device out$/,
  ],
  [
    "names an object that is not there",
    { workload: "shop", devices: ["tokyo-0001"], patch: "apiVersion: v1\nkind: Service\nmetadata: { name: gone }\n" },
    /^patches\[1\]\.patch \(workloads\/shop\): on device tokyo-0001: breaks the build: .*Service.*gone.* - correct the patch, or what it names$/,
  ],
  [
    "does not apply",
    {
      workload: "shop",
      labels: { site: "tokyo" },
      target: WEB,
      patch: JSON.stringify([{ op: "replace", path: "/spec/nowhere/at", value: 1 }]),
    },
    /^patches\[1\]\.patch \(workloads\/shop\): on device tokyo-0001 and 3 more: breaks the build: .*nowhere.* - correct/,
  ],
  [
    "lets an image move",
    {
      workload: "shop",
      devices: ["tokyo-0002"],
      target: WEB,
      patch: JSON.stringify([
        { op: "replace", path: "/spec/template/spec/containers/0/image", value: "example.com/shop:latest" },
      ]),
    },
    /^patches\[1\]\.patch \(workloads\/shop\): on device tokyo-0002: Deployment shop\/acme-web: example\.com\/shop:latest has a tag that moves/,
  ],
  [
    "asks for a runtime that the device lacks",
    {
      devices: ["tokyo-0004"],
      target: { kind: "Deployment" },
      patch: JSON.stringify([{ op: "replace", path: "/spec/template/spec/runtimeClassName", value: "spin" }]),
    },
    /^patches\[1\]\.patch \(overlays\/tokyo\/rpi4-4g\): on device tokyo-0004: Deployment edge-apps\/web: model rpi4-4g: runtime class spin needs/,
  ],
  [
    "is for a device without the workload",
    { workload: "shop", devices: ["osaka-0001"], target: WEB, patch: REPLICAS },
    /^patches\[1\]\.devices \(workloads\/shop\): on device osaka-0001: workload shop is not for it - leave it out, or let the workload select it$/,
  ],
];

for (const [what, patch, problem] of wrong) {
  test(`a patch that ${what} is refused where it is written`, async (context) => {
    const good: TreePatch = { workload: "shop", devices: ["tokyo-0001"], target: WEB, patch: REPLICAS };
    const [first, ...others] = await check(context, [good, patch]);
    assert.match(first ?? "", problem);
    assert.deepEqual(others, []);
  });
}

test("a patch by labels is refused where it selects nothing on all of its devices, one by ids where on any", async (context) => {
  const target = { name: "n100-only" };
  const labels = { site: "osaka" };
  const only = (directory: string) => {
    const file = join(directory, "components/model/n100-8g/team/kustomization.yaml");
    writeFileSync(
      file,
      `${readFileSync(file, "utf8")}\nconfigMapGenerator: [{ name: n100-only, options: { disableNameSuffixHash: true } }]\n`,
    );
  };
  const patch = JSON.stringify([{ op: "add", path: "/data", value: { a: "b" } }]);
  const patches: TreePatch[] = [
    { labels, target, patch },
    { labels, target: { name: "gone" }, patch },
    { devices: ["osaka-0001", "osaka-0003"], target, patch },
  ];
  assert.deepEqual(
    (await check(context, patches, FLEET, only)).map((line) => line.replace(/ - .*/, "")),
    [
      "patches[1].target (overlays/osaka/n100-8g and 1 more): on device osaka-0001 and 2 more: selects no object",
      "patches[2].target (overlays/osaka/rpi4-4g): on device osaka-0001: selects no object",
    ],
  );
});
