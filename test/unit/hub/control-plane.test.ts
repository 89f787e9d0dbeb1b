/** What the settings of `hub` make of Argo CD's own namespaced install, v3.2.11: its real manifests. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseAllDocuments, stringify } from "yaml";
import { type ControlPlaneOptions, selectControlPlane } from "../../../components/hub/control-plane.ts";
import type { ManifestObject } from "../../../components/hub/manifests.ts";
import { assertGolden } from "../../golden.ts";
import { argocdManifests } from "../../lab/toolchain/index.ts";
import { validate, writeKubernetesSchemas } from "../gitops/schemas.ts";

const { directory } = await argocdManifests();
const namespaceInstall = parseAllDocuments(readFileSync(join(directory, "namespace-install.yaml"), "utf8")).map(
  (document) => document.toJS() as ManifestObject,
);
const CASES: Readonly<Record<string, ControlPlaneOptions>> = {
  plain: {},
  "high-availability": { highAvailability: true },
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
  if (name === "plain") continue;
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
  const objects = render("high-availability");
  const deployments = objects.filter(({ kind }) => kind === "Deployment");
  assert.ok(deployments.length >= 3);
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

interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly affinity?: {
      readonly podAntiAffinity: { readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly object[] };
    };
    readonly containers: readonly { readonly env: readonly { readonly name: string; readonly value?: string }[] }[];
  };
}
