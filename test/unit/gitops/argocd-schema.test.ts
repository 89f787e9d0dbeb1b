/**
 * Argo CD's own schemas judge the objects that edge-fleet makes for it: the CRDs of its Go module become strict JSON
 * schemas, kubeconform validates. Core kinds are not judged here, their schemas come with no package: the compiler
 * checks them against the types of @pulumi/kubernetes (`satisfies` in scaffold.ts and in this file).
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { types } from "@pulumi/kubernetes";
import { parse } from "yaml";
import { predictApplications, renderApplicationSet } from "../../../components/gitops/applicationset.ts";
import { renderTree } from "../../../components/gitops/tree.ts";
import { renderClusterSecret } from "../../../components/registration/cluster-secret.ts";
import { renderControlPlane } from "../../../components/registration/control-plane.ts";
import { EXAMPLE } from "./fleet.ts";
import { runTool } from "./tools.ts";

const ARGOCD_MODULE = "github.com/argoproj/argo-cd/v3@v3.2.0";
const { project, defaultProject, ...core } = renderControlPlane("tokyo", EXAMPLE.git.url);
const applicationSet = renderApplicationSet("tokyo", EXAMPLE);

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
  const { Dir } = JSON.parse(runTool("go", ["mod", "download", "-json", ARGOCD_MODULE])) as { Dir: string };
  for (const kind of ["application", "applicationset", "appproject"]) {
    const crd = parse(readFileSync(join(Dir, "manifests/crds", `${kind}-crd.yaml`), "utf8")) as Crd;
    for (const { name, schema } of crd.spec.versions)
      writeFileSync(join(schemas, `${kind}-argoproj.io-${name}.json`), JSON.stringify(strict(schema.openAPIV3Schema)));
  }
});
after(() => rmSync(schemas, { recursive: true, force: true }));

function validate(object: unknown): string {
  const location = join(schemas, "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json");
  return runTool("kubeconform", ["-strict", "-summary", "-schema-location", location], JSON.stringify(object));
}

for (const [what, object] of [
  ["a region's ApplicationSet", applicationSet],
  ["the workload project", project],
  ["the emptied default project", defaultProject],
] as const) {
  test(`${what} is valid by Argo CD's own schema`, () => {
    assert.match(validate(object), /Valid: 1, Invalid: 0, Errors: 0, Skipped: 0/);
  });
}

test("the ApplicationSet files of the tree are valid as they lie on disk", () => {
  for (const [path, { content }] of renderTree(EXAMPLE))
    if (path.startsWith("applicationsets/"))
      assert.match(validate(parse(content, { version: "1.1" })), /Valid: 1, Invalid: 0/, path);
});

test("an Application stamped from the template is valid", () => {
  const [predicted] = predictApplications("tokyo", EXAMPLE, new Map([["canary", "a".repeat(40)]]));
  const { template } = applicationSet.spec;
  const application = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: { ...template.metadata, name: predicted?.name },
    spec: {
      ...template.spec,
      source: { ...template.spec.source, targetRevision: predicted?.revision, path: predicted?.path },
    },
  };
  assert.match(validate(application), /Valid: 1, Invalid: 0/);
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

interface Crd {
  readonly spec: { readonly versions: { name: string; schema: { openAPIV3Schema: Schema } }[] };
}
interface Schema {
  readonly [keyword: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
}

/** A CRD's schema as strict JSON schema: what is not listed is refused, Kubernetes' extensions become JSON schema. */
function strict(schema: Schema, top = true): Schema {
  if (schema["x-kubernetes-int-or-string"] === true) return { type: ["integer", "string"] };
  const { properties, items, additionalProperties, ...rest } = schema;
  const open = schema["x-kubernetes-preserve-unknown-fields"] === true;
  return {
    ...rest,
    ...(items === undefined ? {} : { items: strict(items, false) }),
    ...(typeof additionalProperties === "object" ? { additionalProperties: strict(additionalProperties, false) } : {}),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([key, value]) => [
              key,
              top && key === "metadata" ? value : strict(value, false),
            ]),
          ),
          additionalProperties: open,
        }),
  };
}
