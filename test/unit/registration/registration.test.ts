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
const CONTROL_PLANE = renderControlPlane("tokyo", "https://git.example.com/acme/fleet.git");

test("a device's cluster Secret is the golden one", () => {
  assertGolden("registration/cluster-secret.yaml", stringify(renderClusterSecret(DEVICE)));
});

test("a region's objects on the hub are the golden ones", () => {
  const documents = Object.values(CONTROL_PLANE).map((object) => stringify(object, { aliasDuplicateObjects: false }));
  assertGolden("registration/control-plane.yaml", documents.join("---\n"));
});

test("the cluster Secret holds no secret", () => {
  assert.deepEqual(renderClusterSecret(DEVICE).stringData, {
    name: "tokyo-0001",
    server: "https://argocd-agent-resource-proxy:9090?agentName=tokyo-0001",
    config: "{}",
  });
});

test("labels of the inventory cannot replace those that decide what a device gets", () => {
  const hostile = {
    site: "shibuya",
    "argocd.argoproj.io/secret-type": "repository",
    "argocd-agent.argoproj-labs.io/agent-name": "tokyo-0002",
    "edge-fleet.dev/region": "osaka",
    "edge-fleet.dev/model": "n100-8g",
    "edge-fleet.dev/ring": "broad",
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
  const objects = Object.values(CONTROL_PLANE);
  assert.deepEqual(
    objects.map(({ kind }) => kind).filter((kind) => kind.startsWith("Cluster")),
    [],
  );
  for (const { kind, metadata } of objects)
    assert.equal(metadata.namespace, kind === "Namespace" ? undefined : "argocd-tokyo", kind);
  const { rules } = CONTROL_PLANE.role;
  assert.deepEqual(
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      resources.map((resource) => [apiGroups.join(), resource, verbs]),
    ),
    [
      ["", "secrets", ["get", "list", "watch", "create", "update", "patch", "delete"]],
      ["argoproj.io", "applicationsets", ["get", "list", "watch", "create", "update", "patch", "delete"]],
      ["argoproj.io", "applications", ["get", "list", "watch", "delete"]],
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

test("the project deploys from the fleet's repository into the workload namespace, to clusters by name only", () => {
  const { spec } = CONTROL_PLANE.project;
  assert.deepEqual(spec.sourceRepos, ["https://git.example.com/acme/fleet.git"]);
  assert.deepEqual(spec.destinations, [{ name: "*", namespace: "edge-apps" }]);
  assert.deepEqual(spec.clusterResourceWhitelist, [{ group: "", kind: "Namespace" }]);
});

test("the project default, which may do everything as installed, may do nothing", () => {
  const { spec } = CONTROL_PLANE.defaultProject;
  assert.deepEqual([spec.sourceRepos, spec.destinations, spec.clusterResourceWhitelist], [[], [], []]);
});
