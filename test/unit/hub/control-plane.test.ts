/** What the settings of `hub` make of Argo CD's own namespaced install, v3.2.11: its real manifests. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse, parseAllDocuments, stringify } from "yaml";
import { type ControlPlaneOptions, selectControlPlane } from "../../../components/hub/control-plane.ts";
import type { ManifestObject } from "../../../components/hub/manifests.ts";
import { type HubServer, serverSecrets } from "../../../components/hub/server.ts";
import { admits, type End, type Policy } from "../../flows.ts";
import { assertGolden } from "../../golden.ts";
import { argocdManifests } from "../../lab/toolchain/index.ts";
import { validate, writeKubernetesSchemas } from "../gitops/schemas.ts";

const { directory } = await argocdManifests();
const namespaceInstall = parseAllDocuments(readFileSync(join(directory, "namespace-install.yaml"), "utf8")).map(
  (document) => document.toJS() as ManifestObject,
);
const SERVER: HubServer = {
  url: "https://argocd-tokyo.example.com",
  sso: {
    issuer: "https://id.example.com/realms/acme",
    clientId: "argocd",
    name: "Acme",
    scopes: ["openid", "groups"],
    groupsClaim: "groups",
    groups: { sre: "admin", "CN=shop staff,OU=retail": "readonly" },
  },
  service: "LoadBalancer",
  annotations: { "example.com/zone": "a" },
  sourceRanges: ["10.0.0.0/8"],
  clientSecret: "secret-of-the-client",
};
const CASES: Readonly<Record<string, ControlPlaneOptions>> = {
  plain: {},
  "high-availability": { highAvailability: true },
  server: { server: SERVER },
  everything: { highAvailability: true, server: SERVER },
};

let schemas: string;
before(() => {
  schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  writeKubernetesSchemas(schemas);
});
after(() => rmSync(schemas, { recursive: true, force: true }));

const render = (name: string) => selectControlPlane({ namespaceInstall }, CASES[name]);
const keyOf = ({ kind, metadata }: ManifestObject) => `${kind}/${metadata.name}`;

for (const name of Object.keys(CASES)) {
  test(`the control plane "${name}" is valid by Kubernetes' own schemas, and has no object twice`, () => {
    const objects = render(name);
    const summary = validate(schemas, objects.map((object) => JSON.stringify(object)).join("\n---\n"));
    assert.match(summary, new RegExp(`Summary: ${objects.length} resources found .* - Valid: ${objects.length}, `));
    assert.equal(new Set(objects.map(keyOf)).size, objects.length);
  });
  if (name === "plain" || name === "everything") continue;
  test(`what "${name}" changes of the plain control plane is the golden one`, () => {
    const plain = new Map(render("plain").map((object) => [keyOf(object), object]));
    const changes = render(name).flatMap((object) => {
      const change = difference(plain.get(keyOf(object)), object);
      return change === undefined ? [] : [stringify({ [keyOf(object)]: change }, { aliasDuplicateObjects: false })];
    });
    assertGolden(`hub/${name}.yaml`, changes.join("---\n"));
  });
}

/** Fields that are new or other; entries of a list, whole. A field that is gone is `null`. */
function difference(from: unknown, to: unknown): unknown {
  if (JSON.stringify(from) === JSON.stringify(to)) return undefined;
  if (Array.isArray(from) && Array.isArray(to)) return differenceOfLists(from, to);
  if (!isMap(from) || !isMap(to)) return to ?? null;
  const keys = new Set([...Object.keys(from), ...Object.keys(to)]);
  return Object.fromEntries(
    [...keys].flatMap((key) => {
      const change = difference(from[key], to[key]);
      return change === undefined ? [] : [[key, change]];
    }),
  );
}

function differenceOfLists(from: readonly unknown[], to: readonly unknown[]): unknown {
  const known = new Set(from.map((entry) => JSON.stringify(entry)));
  const fresh = to.filter((entry) => !known.has(JSON.stringify(entry)));
  return fresh.map((entry) => {
    const named = isMap(entry) ? from.find((other) => isMap(other) && other.name === entry.name) : undefined;
    return isMap(entry) && isMap(named) ? { name: entry.name, ...(difference(named, entry) as object) } : entry;
  });
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

test("with high availability every process but redis is two on different nodes, and a drain takes one at a time", () => {
  const objects = render("everything");
  const deployments = objects.filter(({ kind }) => kind === "Deployment");
  assert.equal(deployments.length, 4);
  for (const deployment of deployments) {
    const { name } = deployment.metadata;
    const spec = deployment.spec as { replicas?: number; strategy?: { rollingUpdate?: object }; template: PodTemplate };
    const budget = objects.find(({ kind, metadata }) => kind === "PodDisruptionBudget" && metadata.name === name);
    if (name === "argocd-redis") {
      assert.deepEqual([spec.replicas ?? 1, budget], [1, undefined], name);
      continue;
    }
    const selected = { matchLabels: spec.template.metadata.labels };
    const [apart, ...others] =
      spec.template.spec.affinity?.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    assert.deepEqual(others, []);
    assert.deepEqual(apart, { labelSelector: selected, topologyKey: "kubernetes.io/hostname" }, name);
    assert.deepEqual((budget?.spec as { selector: object } | undefined)?.selector, selected, name);
    assert.deepEqual([spec.replicas, spec.strategy?.rollingUpdate], [2, { maxSurge: 0, maxUnavailable: 1 }], name);
  }
});

test("with high availability one ApplicationSet controller works, and its role lets it elect which", () => {
  const objects = render("high-availability");
  const find = (kind: string) => {
    const found = objects.find((object) => keyOf(object) === `${kind}/argocd-applicationset-controller`);
    assert.ok(found);
    return found;
  };
  const { template } = find("Deployment").spec as { template: PodTemplate };
  const variables = template.spec.containers[0]?.env.filter(({ name }) => name.endsWith("_LEADER_ELECTION"));
  assert.deepEqual(variables, [{ name: "ARGOCD_APPLICATIONSET_CONTROLLER_ENABLE_LEADER_ELECTION", value: "true" }]);
  const rules = (find("Role") as ManifestObject & { rules: { resources: string[]; verbs: string[] }[] }).rules;
  const verbs = rules.filter(({ resources }) => resources.includes("leases")).flatMap((rule) => rule.verbs);
  for (const verb of ["create", "get", "update"]) assert.ok(verbs.includes(verb), verb);
});

test("people reach the server from their addresses and nobody its metrics; the server reaches what it asks", () => {
  const policies = render("server").flatMap((object) =>
    object.kind === "NetworkPolicy"
      ? [{ ...object, metadata: { ...object.metadata, namespace: "argocd-tokyo" } } as ManifestObject & Policy]
      : [],
  );
  const pod = (name: string): End => ({ namespace: "argocd-tokyo", labels: { "app.kubernetes.io/name": name } });
  const server = pod("argocd-server");
  const monitoring: End = {
    namespace: "monitoring",
    labels: {},
    namespaceLabels: { "kubernetes.io/metadata.name": "monitoring" },
  };
  for (const [from, to, port, expected] of [
    [{ address: "10.1.2.3" }, server, 8080, true],
    [{ address: "192.0.2.1" }, server, 8080, false],
    [{ address: "10.1.2.3" }, server, 8083, false],
    [monitoring, server, 8083, false],
    [server, pod("argocd-redis"), 6379, true],
    [server, pod("argocd-repo-server"), 8081, true],
  ] as const)
    assert.equal(admits(policies, { from, to, port }), expected, JSON.stringify({ from, to, port }));
});

test("nobody has a right but by a group, and each group's line is one that Argo CD reads", () => {
  const find = (name: string) => render("server").find((object) => keyOf(object) === `ConfigMap/${name}`)?.data;
  const rights = find("argocd-rbac-cm") as Record<string, string>;
  assert.equal(rights["policy.default"], "");
  assert.deepEqual(rights["policy.csv"]?.split("\n"), [
    'g, "sre", role:admin',
    'g, "CN=shop staff,OU=retail", role:readonly',
    "",
  ]);
  const settings = find("argocd-cm") as Record<string, string>;
  assert.deepEqual([settings["admin.enabled"], settings["users.anonymous.enabled"]], ["false", "false"]);
  assert.doesNotMatch(JSON.stringify(render("server")), /secret-of-the-client/);
  const [sso] = serverSecrets(SERVER);
  assert.equal(
    (parse(settings["oidc.config"] ?? "") as { clientSecret: string }).clientSecret,
    `$${sso?.metadata.name}:${Object.keys(sso?.stringData ?? {}).join()}`,
  );
});

interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly affinity?: {
      readonly podAntiAffinity: { readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly object[] };
    };
    readonly containers: readonly { readonly env: readonly { readonly name: string; readonly value?: string }[] }[];
  };
}
