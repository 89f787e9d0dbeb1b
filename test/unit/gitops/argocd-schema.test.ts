/**
 * Argo CD's own schemas judge the objects that edge-fleet makes for it: the CRDs of its Go module become strict JSON
 * schemas, kubeconform validates. The core objects of registration are judged by the compiler, against the types of
 * @pulumi/kubernetes (`satisfies`); those of the tree by Kubernetes' own schemas, in tree-leaves.test.ts.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { types } from "@pulumi/kubernetes";
import { parseAllDocuments } from "yaml";
import { renderApplicationSets } from "../../../components/gitops/applicationset.ts";
import { renderTree } from "../../../components/gitops/tree.ts";
import { renderClusterSecret } from "../../../components/registration/cluster-secret.ts";
import { renderControlPlane } from "../../../components/registration/control-plane.ts";
import { predictApplications } from "../../prediction.ts";
import { FULL_EXAMPLE } from "./fleet.ts";
import { validate as validateBySchemas, writeArgoCdSchemas } from "./schemas.ts";

const { project, defaultProject, workloadProjects, ...core } = renderControlPlane(
  "tokyo",
  FULL_EXAMPLE.git.url,
  FULL_EXAMPLE,
);
const RENDERED = { ...FULL_EXAMPLE, git: { ...FULL_EXAMPLE.git, layout: "rendered" as const } };
const applicationSets = [FULL_EXAMPLE, RENDERED, { ...FULL_EXAMPLE, statusLimitBytes: 600 }].flatMap((input) =>
  renderApplicationSets("tokyo", input),
);
const [applicationSet] = applicationSets;
assert.ok(applicationSet);

/** The core objects fit the typed arguments of the resources that they become; the compiler proves it. */
export const typedObjects = {
  namespace: core.namespace satisfies types.input.core.v1.Namespace,
  serviceAccount: core.serviceAccount satisfies types.input.core.v1.ServiceAccount,
  role: core.role satisfies types.input.rbac.v1.Role,
  roleBinding: core.roleBinding satisfies types.input.rbac.v1.RoleBinding,
  token: core.token satisfies types.input.core.v1.Secret,
  clusterSecret: renderClusterSecret({
    id: "tokyo-0001",
    region: "tokyo",
    model: "rpi4-4g",
    ring: "canary",
    labels: {},
    gitops: { engine: "argocd-agent" },
  }) satisfies types.input.core.v1.Secret,
};

let schemas: string;
before(() => {
  schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  writeArgoCdSchemas(schemas);
});
after(() => rmSync(schemas, { recursive: true, force: true }));

function validate(object: unknown): string {
  return validateText(JSON.stringify(object));
}

function validateText(text: string): string {
  return validateBySchemas(schemas, text);
}

for (const [what, objects] of [
  ["every ApplicationSet of a region, in either layout and divided,", applicationSets],
  ["every project of a region", [project, ...workloadProjects, defaultProject]],
] as const) {
  test(`${what} is valid by Argo CD's own schema`, () => {
    assert.ok(objects.length > 2);
    for (const object of objects) assert.match(validate(object), /Valid: 1, Invalid: 0, Errors: 0, Skipped: 0/);
  });
}

test("the ApplicationSet files of the tree are valid as they lie on disk", () => {
  for (const [path, { content }] of renderTree(FULL_EXAMPLE)) {
    if (!path.startsWith("applicationsets/")) continue;
    const documents = parseAllDocuments(content, { version: "1.1" });
    assert.equal(documents.length, 3, path);
    for (const document of documents) assert.match(validate(document.toJS()), /Valid: 1, Invalid: 0/, path);
  }
});

test("every predicted Application is valid, in either layout", () => {
  const revisions = new Map(FULL_EXAMPLE.rings.map((ring) => [ring, "a".repeat(40)]));
  const names = ["workloads", ...(FULL_EXAMPLE.workloads ?? []).map(({ name }) => name)];
  const pins = new Map(names.map((name) => [name, revisions]));
  for (const input of [FULL_EXAMPLE, RENDERED]) {
    const predicted = ["osaka", "tokyo"].flatMap((region) => predictApplications(region, input, pins));
    assert.ok(predicted.length > 10);
    const list = predicted.map(({ application }) => JSON.stringify(application)).join("\n---\n");
    assert.match(validateText(list), new RegExp(`Valid: ${predicted.length}, Invalid: 0, Errors: 0, Skipped: 0`));
  }
});

for (const [what, broken] of [
  ["an unknown field", { ...applicationSet, spec: { ...applicationSet.spec, rollingSync: true } }],
  ["a wrong type", { ...applicationSet, spec: { ...applicationSet.spec, goTemplate: "yes" } }],
  [
    "a value outside the enumeration",
    { ...applicationSet, spec: { ...applicationSet.spec, syncPolicy: { applicationsSync: "all" } } },
  ],
  ["a missing template", { ...applicationSet, spec: { ...applicationSet.spec, template: undefined } }],
] as const) {
  test(`the schemas refuse ${what}`, () => {
    assert.throws(() => validate(broken), /is invalid|Invalid: 1/);
  });
}
