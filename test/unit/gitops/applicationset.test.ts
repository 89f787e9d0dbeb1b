import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import {
  describeRegionSizes,
  MAX_AGENT_DEVICES,
  renderApplicationSets,
} from "../../../components/gitops/applicationset.ts";
import type { ApplicationSet } from "../../../components/gitops/objects.ts";
import { renderTree } from "../../../components/gitops/tree.ts";
import type { TreeDevice } from "../../../components/gitops/tree-input.ts";
import { renderControlPlane } from "../../../components/registration/control-plane.ts";
import { assertGolden } from "../../golden.ts";
import { arbitraryFleet, EXAMPLE, FULL_EXAMPLE } from "./fleet.ts";

const generators = (set: ApplicationSet | undefined) => set?.spec.generators[0]?.matrix.generators ?? [];

/** The set of the overlays of Tokyo. */
function overlaySet(input = EXAMPLE): ApplicationSet {
  const [set] = renderApplicationSets("tokyo", input);
  assert.ok(set);
  return set;
}

test("the file in the tree holds the objects that the stack applies, in their order", () => {
  for (const region of ["osaka", "tokyo"]) {
    const file = renderTree(FULL_EXAMPLE).get(`applicationsets/${region}.yaml`);
    const documents = parseAllDocuments(file?.content ?? "").map((document) => document.toJS() as unknown);
    assert.deepEqual(documents, renderApplicationSets(region, FULL_EXAMPLE));
  }
});

test("the sets of the full example are the golden ones", () => {
  for (const layout of ["live", "rendered"] as const) {
    const tree = renderTree({ ...FULL_EXAMPLE, git: { ...FULL_EXAMPLE.git, layout } });
    assertGolden(`gitops/applicationsets-${layout}.yaml`, tree.get("applicationsets/tokyo.yaml")?.content ?? "");
  }
});

test("the set deletes nothing by itself, heals, pins the ring's revision and never rolls by itself", () => {
  const { metadata, spec } = overlaySet();
  assert.equal(metadata.namespace, "argocd-tokyo");
  assert.equal(metadata.name, "edge-workloads");
  assert.equal(metadata.annotations?.["pulumi.com/deletionPropagationPolicy"], "orphan");
  assert.deepEqual(metadata.finalizers, ["resources-finalizer.argocd.argoproj.io"]);
  assert.deepEqual(spec.syncPolicy, { applicationsSync: "create-update", preserveResourcesOnDeletion: true });
  assert.deepEqual(spec.goTemplateOptions, ["missingkey=error"]);
  assert.deepEqual(spec.template.spec.syncPolicy.automated, { enabled: true, prune: true, selfHeal: true });
  assert.equal(spec.template.spec.syncPolicy.retry.limit, -1);
  assert.equal(spec.template.spec.source.targetRevision, "{{.revision}}");
  assert.equal(spec.template.spec.project, "edge-workloads");
  assert.equal("strategy" in spec, false);
  assert.equal(JSON.stringify(spec).includes('"server"'), false);
});

test("ring files are named one by one: a pattern would find those of the workloads too", () => {
  const [overlays, telemetry, vision] = renderApplicationSets("tokyo", FULL_EXAMPLE).map((set) => {
    const [git] = generators(set);
    assert.ok(git !== undefined && "git" in git);
    return git.git.files.map(({ path }) => path);
  });
  assert.deepEqual(overlays, ["fleet/rings/canary.yaml", "fleet/rings/early.yaml", "fleet/rings/broad.yaml"]);
  assert.deepEqual(telemetry, [
    "fleet/rings/telemetry/canary.yaml",
    "fleet/rings/telemetry/early.yaml",
    "fleet/rings/telemetry/broad.yaml",
  ]);
  assert.deepEqual(vision, ["fleet/rings/vision/early.yaml"]);
});

test("each workload has a set with its own folder, namespace, project, models and rings", () => {
  const [, telemetry, vision] = renderApplicationSets("tokyo", FULL_EXAMPLE);
  assert.equal(telemetry?.metadata.name, "edge-telemetry");
  assert.equal(telemetry?.spec.template.metadata.name, "{{.nameNormalized}}-telemetry");
  assert.equal(telemetry?.spec.template.spec.source.path, "fleet/workloads/telemetry");
  assert.equal(telemetry?.spec.template.spec.destination.namespace, "telemetry");
  assert.equal(telemetry?.spec.template.spec.project, "edge-workloads");
  assert.equal(vision?.spec.template.spec.project, "vision");
  const [, clusters] = generators(vision);
  assert.ok(clusters !== undefined && "clusters" in clusters);
  assert.deepEqual(clusters.clusters.selector.matchExpressions?.[0], {
    key: "edge-fleet.dev/model",
    operator: "In",
    values: ["n100-8g"],
  });
});

test("every set's project is one that the hub makes, and may deploy to the set's namespace", () => {
  fc.assert(
    fc.property(arbitraryFleet, (fleet) => {
      for (const region of new Set(fleet.devices.map((device) => device.region))) {
        const { project, workloadProjects } = renderControlPlane(region, fleet.git.url, fleet);
        const projects = new Map([project, ...workloadProjects].map(({ metadata, spec }) => [metadata.name, spec]));
        for (const { spec } of renderApplicationSets(region, fleet)) {
          const own = projects.get(spec.template.spec.project);
          const { namespace } = spec.template.spec.destination;
          assert.ok(own?.destinations.some((destination) => destination.namespace === namespace));
          assert.ok(own?.sourceRepos.includes(spec.template.spec.source.repoURL));
        }
      }
    }),
    { numRuns: 50 },
  );
});

test("the layout changes the folder and nothing else of the template", () => {
  const rendered = overlaySet({ ...EXAMPLE, git: { ...EXAMPLE.git, layout: "rendered" } });
  const model = '{{index .metadata.labels "edge-fleet.dev/model"}}';
  assert.equal(rendered.spec.template.spec.source.path, `fleet/rendered/tokyo/${model}`);
  assert.equal(overlaySet().spec.template.spec.source.path, `fleet/overlays/tokyo/${model}`);
  const without = ({ spec }: ApplicationSet) => ({ ...spec.template.spec, source: undefined });
  assert.deepEqual(without(rendered), without(overlaySet()));
  assert.equal(rendered.spec.templatePatch, overlaySet().spec.templatePatch);
});

function agents(count: number, engine: TreeDevice["engine"] = "argocd-agent"): TreeDevice[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `device-${index}`,
    region: "tokyo",
    model: "rpi4-4g",
    ring: "broad",
    engine,
  }));
}

for (const [count, engine, warned] of [
  [MAX_AGENT_DEVICES, "argocd-agent", false],
  [MAX_AGENT_DEVICES + 1, "argocd-agent", true],
  [5000, "flux", false],
] as const) {
  test(`${count} devices with ${engine} in a region are rendered ${warned ? "with" : "without"} a warning`, () => {
    const fleet = { ...EXAMPLE, devices: agents(count, engine) };
    assert.ok(renderTree(fleet).size > 0);
    const lines = describeRegionSizes(fleet.devices);
    assert.equal(lines.length, warned ? 1 : 0);
    if (warned) assert.match(lines[0] ?? "", /^region tokyo has 401 devices .* more than 400: .* - split the region/);
  });
}
