import assert from "node:assert/strict";
import { test } from "node:test";
import { stringify } from "yaml";
import { renderClusterSecret } from "../../../components/registration/cluster-secret.ts";
import { renderControlPlane } from "../../../components/registration/control-plane.ts";
import { assertGolden } from "../../golden.ts";

const DEVICE = {
  id: "tokyo-0001",
  region: "tokyo",
  model: "rpi4-4g",
  ring: "canary",
  labels: { site: "shibuya" },
  gitops: { engine: "argocd-agent" },
} as const;
const GIT = "https://git.example.com/acme/fleet.git";
const WORKLOADS = [
  { name: "telemetry", namespace: "telemetry" },
  { name: "vision", namespace: "vision", project: "video" },
  { name: "recorder", namespace: "recorder", project: "video" },
];
const CONTROL_PLANE = renderControlPlane("tokyo", GIT, { workloads: WORKLOADS });

test("a device's cluster Secret is the golden one", () => {
  assertGolden("registration/cluster-secret.yaml", stringify(renderClusterSecret(DEVICE)));
});

test("the Secret of a removed device is none of Argo CD's clusters and keeps its name", () => {
  const secret = renderClusterSecret({ ...DEVICE, labels: { "argocd.argoproj.io/secret-type": "cluster" } }, true);
  assert.deepEqual(secret.metadata, {
    name: "cluster-tokyo-0001",
    namespace: "argocd-tokyo",
    labels: { "edge-fleet.dev/region": "tokyo", "edge-fleet.dev/state": "removed" },
    annotations: {},
  });
  assert.deepEqual(secret.stringData, renderClusterSecret(DEVICE).stringData);
});

test("each generation of a region's token is a Secret of its own, of the same account", () => {
  const first = CONTROL_PLANE.token.metadata;
  const second = renderControlPlane("tokyo", GIT, { workloads: WORKLOADS }, 2).token.metadata;
  assert.equal(first.name, "edge-fleet-region-token");
  assert.equal(second.name, "edge-fleet-region-token-2");
  assert.deepEqual(second.annotations, first.annotations);
});

test("a region's objects on the hub are the golden ones", () => {
  const documents = Object.values(CONTROL_PLANE)
    .flat()
    .map((object) => stringify(object, { aliasDuplicateObjects: false }));
  assertGolden("registration/control-plane.yaml", documents.join("---\n"));
});

test("the cluster Secret holds no secret", () => {
  assert.deepEqual(renderClusterSecret(DEVICE).stringData, {
    name: "tokyo-0001",
    server: "https://argocd-agent-resource-proxy:9090?agentName=tokyo-0001",
    config: "{}",
  });
});

test("the values of a device and its site are annotations, which its Applications put on every object", () => {
  const { annotations } = renderClusterSecret({ ...DEVICE, values: { coordinates: "35.68,139.77" } }).metadata;
  assert.deepEqual(annotations, {
    "argocd.argoproj.io/skip-reconcile": "true",
    "values.edge-fleet.dev/coordinates": "35.68,139.77",
    "values.edge-fleet.dev/site": "shibuya",
  });
  const named = renderClusterSecret({ ...DEVICE, values: { site: "own" } }).metadata.annotations;
  assert.equal(named["values.edge-fleet.dev/site"], "own");
});

test("devices with the same windows in the same time zone share a window label, others do not", () => {
  const maintenance = [{ start: "02:00", durationMinutes: 60 }];
  const labelOf = (zone: string, id = "tokyo-0001") =>
    renderClusterSecret({ ...DEVICE, id, maintenance, time: { zone, ntpServers: [] } }).metadata.labels[
      "edge-fleet.dev/window"
    ];
  assert.equal(labelOf("Asia/Tokyo"), labelOf("Asia/Tokyo", "tokyo-0002"));
  assert.notEqual(labelOf("Asia/Tokyo"), labelOf("UTC"));
  assert.equal(renderClusterSecret(DEVICE).metadata.labels["edge-fleet.dev/window"], "always");
});

test("labels of the inventory cannot replace those that decide what a device gets", () => {
  const hostile = {
    site: "shibuya",
    "argocd.argoproj.io/secret-type": "repository",
    "argocd-agent.argoproj-labs.io/agent-name": "tokyo-0002",
    "edge-fleet.dev/region": "osaka",
    "edge-fleet.dev/model": "n100-8g",
    "edge-fleet.dev/ring": "broad",
    "edge-fleet.dev/shard": "0",
    "edge-fleet.dev/window": "always-not",
  };
  const { labels } = renderClusterSecret({ ...DEVICE, labels: hostile }).metadata;
  assert.deepEqual(labels, renderClusterSecret(DEVICE).metadata.labels);
});

for (const [engine, agent] of [
  ["argocd-agent", "tokyo-0001"],
  ["argocd", undefined],
  ["flux", undefined],
] as const) {
  test(`with the engine ${engine} the Secret ${agent ? "names" : "has no"} agent`, () => {
    const { labels } = renderClusterSecret({ ...DEVICE, labels: {}, gitops: { engine } }).metadata;
    assert.equal(labels["argocd-agent.argoproj-labs.io/agent-name"], agent);
    assert.equal(labels["argocd.argoproj.io/secret-type"], "cluster");
  });
}

test("the rights of a region end at its namespace: no cluster-wide kind, no wildcard, no escalation", () => {
  const objects = Object.values(CONTROL_PLANE).flat();
  assert.deepEqual(
    objects.map(({ kind }) => kind).filter((kind) => kind.startsWith("Cluster")),
    [],
  );
  for (const { kind, metadata } of objects)
    assert.equal(metadata.namespace, kind === "Namespace" ? undefined : "argocd-tokyo", kind);
  const { rules } = CONTROL_PLANE.role;
  assert.deepEqual(
    rules.flatMap(({ apiGroups, resources, resourceNames = [], verbs }) =>
      resources.map((resource) => [apiGroups.join(), [resource, ...resourceNames].join(" "), verbs]),
    ),
    [
      ["", "secrets", ["get", "list", "watch", "create", "update", "patch", "delete"]],
      ["argoproj.io", "applicationsets", ["get", "list", "watch", "create", "update", "patch", "delete"]],
      ["argoproj.io", "applications", ["get", "list", "watch", "delete"]],
      ["", "configmaps", ["get", "list", "watch"]],
      ["", "configmaps argocd-agent-tls-blocklist edge-fleet-registered", ["create", "update", "patch", "delete"]],
    ],
  );
});

test("the account of a region is bound to the one role, and its token is of that account", () => {
  const { serviceAccount, role, roleBinding, token } = CONTROL_PLANE;
  assert.equal(roleBinding.roleRef.name, role.metadata.name);
  assert.equal(roleBinding.roleRef.kind, "Role");
  assert.deepEqual(roleBinding.subjects, [
    { kind: "ServiceAccount", name: serviceAccount.metadata.name, namespace: "argocd-tokyo" },
  ]);
  assert.equal(token.metadata.annotations?.["kubernetes.io/service-account.name"], serviceAccount.metadata.name);
  assert.equal(serviceAccount.automountServiceAccountToken, false);
});

test("projects deploy from the fleet's repository into the namespaces of their workloads, to clusters by name only", () => {
  const { project, workloadProjects } = CONTROL_PLANE;
  const destinations = (namespaces: string[]) => namespaces.map((namespace) => ({ name: "*", namespace }));
  assert.deepEqual(project.spec.destinations, destinations(["edge-apps", "telemetry"]));
  assert.deepEqual(
    workloadProjects.map(({ metadata, spec }) => [metadata.name, spec.destinations]),
    [["video", destinations(["recorder", "vision"])]],
  );
  assert.deepEqual(renderControlPlane("tokyo", GIT).project.spec.destinations, destinations(["edge-apps"]));
  for (const { spec } of [project, ...workloadProjects]) {
    assert.deepEqual(spec.sourceRepos, [GIT]);
    assert.deepEqual(spec.clusterResourceWhitelist, [{ group: "", kind: "Namespace" }]);
    assert.equal("syncWindows" in spec, false, "outside of one a device would not heal");
  }
});

test("the project default, which may do everything as installed, may do nothing", () => {
  const { spec } = CONTROL_PLANE.defaultProject;
  assert.deepEqual([spec.sourceRepos, spec.destinations, spec.clusterResourceWhitelist], [[], [], []]);
});
