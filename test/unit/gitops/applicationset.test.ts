import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import {
  MAX_AGENT_DEVICES,
  MAX_DEVICES,
  type PredictedApplication,
  predictApplications,
  renderApplicationSet,
} from "../../../components/gitops/applicationset.ts";
import type { ApplicationSet, LabelSelector } from "../../../components/gitops/objects.ts";
import { renderTree, type TreeInput } from "../../../components/gitops/tree.ts";
import { type ClusterSecret, renderClusterSecret } from "../../../components/registration/cluster-secret.ts";
import { arbitraryFleet, EXAMPLE } from "./fleet.ts";

const REVISIONS = new Map([
  ["canary", "a".repeat(40)],
  ["early", "b".repeat(40)],
]);

test("the file in the tree is the object that the stack applies", () => {
  for (const region of ["osaka", "tokyo"]) {
    const file = renderTree(EXAMPLE).get(`applicationsets/${region}.yaml`);
    assert.deepEqual(parse(file?.content ?? ""), renderApplicationSet(region, EXAMPLE));
  }
});

test("the set deletes nothing by itself, heals, pins the ring's revision and never rolls by itself", () => {
  const { metadata, spec } = renderApplicationSet("tokyo", EXAMPLE);
  assert.equal(metadata.namespace, "argocd-tokyo");
  assert.deepEqual(spec.syncPolicy, { applicationsSync: "create-update", preserveResourcesOnDeletion: true });
  assert.deepEqual(spec.goTemplateOptions, ["missingkey=error"]);
  assert.deepEqual(spec.template.spec.syncPolicy.automated, { enabled: true, prune: true, selfHeal: true });
  assert.equal(spec.template.spec.source.targetRevision, "{{.revision}}");
  assert.equal(spec.template.spec.project, "edge-workloads");
  assert.equal("strategy" in spec, false);
  assert.equal(JSON.stringify(spec).includes('"server"'), false);
});

test("the prediction is what the set's generators and template yield over the cluster Secrets", () => {
  fc.assert(
    fc.property(arbitraryFleet, fc.infiniteStream(fc.boolean()), (fleet, coin) => {
      const revisions = new Map(
        fleet.rings.flatMap((ring, index) =>
          coin.next().value ? [[ring, `${index}`.padStart(40, "0")] as const] : [],
        ),
      );
      const secrets = fleet.devices.map((device) =>
        renderClusterSecret({ ...device, labels: {}, gitops: { engine: device.engine } }),
      );
      for (const region of new Set(fleet.devices.map((device) => device.region))) {
        const yielded = interpret(renderApplicationSet(region, fleet), secrets, revisions);
        assert.deepEqual(predictApplications(region, fleet, revisions), yielded);
      }
    }),
  );
});

test("every predicted path is a leaf of the tree, and each device with an agent and a pinned ring has one Application", () => {
  fc.assert(
    fc.property(arbitraryFleet, (fleet) => {
      const tree = renderTree(fleet);
      const revisions = new Map(fleet.rings.map((ring) => [ring, "c".repeat(40)]));
      const regions = [...new Set(fleet.devices.map((device) => device.region))];
      const predicted = regions.flatMap((region) => predictApplications(region, fleet, revisions));
      const withAgent = fleet.devices.filter(({ engine }) => engine === "argocd-agent");
      assert.deepEqual(predicted.map(({ cluster }) => cluster).sort(), withAgent.map(({ id }) => id).sort());
      for (const { path } of predicted)
        assert.ok(tree.has(`${path.slice("fleet/".length)}/kustomization.yaml`), `${path} has no leaf`);
    }),
  );
});

test("a ring without a revision deploys nothing, and a device that pulls without an agent needs no Application", () => {
  const names = predictApplications("tokyo", EXAMPLE, REVISIONS).map(({ name }) => name);
  assert.deepEqual(names, ["tokyo-0001-workloads", "tokyo-0002-workloads"]);
  assert.deepEqual(predictApplications("tokyo", EXAMPLE, new Map()), []);
});

test("names stay within Kubernetes' limits at the longest id and region", () => {
  const device = {
    id: "d".repeat(53),
    region: "r".repeat(30),
    model: "rpi4-4g",
    ring: "canary",
    engine: "argocd-agent",
  } as const;
  const [application] = predictApplications(device.region, { ...EXAMPLE, devices: [device] }, REVISIONS);
  assert.equal(application?.name.length, 63);
  assert.equal(renderApplicationSet(device.region, { ...EXAMPLE, devices: [device] }).metadata.namespace.length, 37);
});

for (const [count, engine, refusal] of [
  [MAX_AGENT_DEVICES, "argocd-agent", undefined],
  [
    MAX_AGENT_DEVICES + 1,
    "argocd-agent",
    /^region tokyo has 401 devices with gitops.engine argocd-agent, 400 are .* - /,
  ],
  [MAX_DEVICES, "flux", undefined],
  [MAX_DEVICES + 1, "argocd", /^region tokyo has 1001 devices, 1000 are .*1\.5 MiB - split the region/],
] as const) {
  test(`${count} devices with ${engine} in a region are ${refusal ? "refused with the reason" : "accepted"}`, () => {
    const fleet: TreeInput = {
      ...EXAMPLE,
      devices: Array.from({ length: count }, (_, index) => ({
        id: `device-${index}`,
        region: "tokyo",
        model: "rpi4-4g",
        ring: "broad",
        engine,
      })),
    };
    if (refusal === undefined) assert.ok(renderTree(fleet).size > 0);
    else assert.throws(() => renderTree(fleet), { message: refusal });
  });
}

/** The controller's part of the set that edge-fleet uses, over plain objects: ring files x clusters -> Applications. */
function interpret(
  set: ApplicationSet,
  secrets: readonly ClusterSecret[],
  revisions: ReadonlyMap<string, string>,
): PredictedApplication[] {
  const clusters = set.spec.generators[0]?.matrix.generators[1];
  assert.ok(clusters !== undefined && "clusters" in clusters);
  const applications = [...revisions].flatMap(([ring, revision]) =>
    secrets
      .filter(({ metadata }) => metadata.namespace === set.metadata.namespace)
      .filter(({ metadata }) => matches(clusters.clusters.selector, metadata.labels, ring))
      .map((secret) => stamp(set, secret, ring, revision)),
  );
  return applications.sort((a, b) => (a.cluster < b.cluster ? -1 : 1));
}

function matches(selector: LabelSelector, labels: Readonly<Record<string, string>>, ring: string): boolean {
  const wanted = Object.entries(selector.matchLabels ?? {});
  const required = selector.matchExpressions ?? [];
  return (
    wanted.every(([key, value]) => labels[key] === value.replace("{{.ring}}", ring)) &&
    required.every(({ key, operator }) => operator === "Exists" && key in labels)
  );
}

function stamp(set: ApplicationSet, secret: ClusterSecret, ring: string, revision: string): PredictedApplication {
  const { name } = secret.stringData;
  const parameters: Readonly<Record<string, string>> = { ring, revision, name, nameNormalized: name };
  const fill = (template: string) =>
    template
      .replace(/\{\{index \.metadata\.labels "([^"]+)"\}\}/g, (_, key: string) => secret.metadata.labels[key] ?? "")
      .replace(/\{\{\.(\w+)\}\}/g, (_, key: string) => {
        const value = parameters[key];
        assert.ok(value !== undefined, `missingkey=error: ${key}`);
        return value;
      });
  const { metadata, spec } = set.spec.template;
  return {
    name: fill(metadata.name),
    path: fill(spec.source.path),
    revision: fill(spec.source.targetRevision),
    cluster: fill(spec.destination.name),
  };
}
