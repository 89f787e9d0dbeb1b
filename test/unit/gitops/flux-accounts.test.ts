/** What the accounts of a device with Flux may do: what their projects allow, by the names that Kubernetes has for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fluxAccounts, namespaceBinding } from "../../../components/gitops/flux-accounts.ts";
import type { ProjectFleet } from "../../../components/gitops/projects.ts";
import { clusterScopedResources } from "./schemas.ts";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Right {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly name: string };
  readonly subjects?: readonly { readonly name: string; readonly namespace: string }[];
  readonly spec?: { readonly validations?: readonly { readonly expression: string }[] };
}

const FLEET: ProjectFleet = {
  workloads: [
    { name: "shop", namespace: "shop" },
    { name: "vision", namespace: "vision", project: "vision" },
  ],
  projects: {
    vision: {
      kinds: ["Node", "rbac.authorization.k8s.io/Role", "rbac.authorization.k8s.io/ClusterRole"],
      namespaces: ["shop"],
    },
  },
};

function rights(fleet: ProjectFleet, kind: string, name: string): Right | undefined {
  return (fluxAccounts(fleet) as Right[]).find((object) => object.kind === kind && object.metadata.name === name);
}

/** What a role allows: `<group>/<resource>`. */
const allowed = (role: Right | undefined) =>
  role?.rules?.flatMap(({ apiGroups, resources }) =>
    apiGroups.flatMap((group) => resources.map((name) => `${group}/${name}`)),
  );

for (const [project, kinds, namespaces, refused] of [
  [
    "edge-workloads",
    ["/namespaces"],
    ["edge-apps", "shop"],
    ["rbac.authorization.k8s.io/Role", "rbac.authorization.k8s.io/RoleBinding", "/ResourceQuota", "/LimitRange"],
  ],
  [
    "vision",
    ["/namespaces", "/nodes", "rbac.authorization.k8s.io/clusterroles"],
    ["shop", "vision"],
    ["rbac.authorization.k8s.io/RoleBinding", "/ResourceQuota", "/LimitRange"],
  ],
] as const)
  test(`the account of ${project} may bring the kinds of its project into its namespaces, and none that it refuses`, () => {
    assert.deepEqual(allowed(rights(FLEET, "ClusterRole", `project-${project}`)), kinds);
    const policy = rights(FLEET, "ValidatingAdmissionPolicy", `edge-fleet-project-${project}`);
    const lists = policy?.spec?.validations?.map(({ expression }) => JSON.parse(/\[.*\]/.exec(expression)?.[0] ?? ""));
    assert.deepEqual(lists, [namespaces, refused]);
  });

for (const [namespace, accounts] of [
  ["edge-apps", ["project-edge-workloads"]],
  ["shop", ["project-edge-workloads", "project-vision"]],
  ["vision", ["project-vision"]],
] as const)
  test(`into ${namespace} are let ${accounts.join(" and ")}`, () => {
    const { subjects, roleRef } = namespaceBinding(FLEET, namespace, {}) as Right;
    assert.deepEqual([subjects?.map(({ name }) => name), roleRef?.name], [accounts, "edge-fleet-project"]);
  });

test("only one role allows everything, and nothing binds it in the whole cluster", () => {
  const objects = fluxAccounts(FLEET) as Right[];
  const open = objects.filter(({ rules = [] }) => rules.some(({ resources }) => resources.includes("*")));
  assert.deepEqual(
    open.map(({ kind, metadata }) => [kind, metadata.name]),
    [["ClusterRole", "edge-fleet-project"]],
  );
  assert.ok(!objects.some(({ roleRef }) => roleRef?.name === "edge-fleet-project"));
});

test("the controller may take the place of the accounts that are there, and of no other", () => {
  const objects = fluxAccounts(FLEET) as Right[];
  const accounts = objects.flatMap(({ kind, metadata }) => (kind === "ServiceAccount" ? [metadata.name] : []));
  const [rule, ...more] = rights(FLEET, "Role", "impersonation")?.rules ?? [];
  assert.deepEqual([rule?.resourceNames, rule?.verbs, more], [accounts, ["impersonate"], []]);
  const bound = objects.filter(({ subjects }) => subjects?.some(({ name }) => name === "kustomize-controller"));
  assert.deepEqual(
    bound.map(({ kind, metadata }) => [kind, metadata.namespace]),
    [["RoleBinding", "flux-system"]],
  );
});

test("of every kind of Kubernetes that is of the whole cluster the name of its resource is known", () => {
  const resources = clusterScopedResources();
  assert.ok(resources.size > 20);
  const fleet = { projects: { "edge-workloads": { kinds: [...resources.keys()] } } };
  const [, ...others] = allowed(rights(fleet, "ClusterRole", "project-edge-workloads")) ?? [];
  assert.deepEqual(others, [...resources.values()]);
});
