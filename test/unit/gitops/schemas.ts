/**
 * Kubernetes', Argo CD's and Flux's own schemas for kubeconform, out of the Go modules that the lab builds from: OpenAPI documents
 * and CRDs become strict JSON schemas, in which a field that is not listed is an error.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { runTool } from "./tools.ts";

const ARGOCD_MODULE = "github.com/argoproj/argo-cd/v3@v3.2.11";
const FLUX_CRDS = [
  ["github.com/fluxcd/source-controller@v1.9.1", "source.toolkit.fluxcd.io_gitrepositories.yaml"],
  ["github.com/fluxcd/kustomize-controller@v1.9.1", "kustomize.toolkit.fluxcd.io_kustomizations.yaml"],
] as const;
const PROMETHEUS_OPERATOR_MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0";
const KUBERNETES_MODULE = "k8s.io/kubernetes@v1.36.2";

/** OpenAPI documents of the groups whose kinds the tree uses. */
const DOCUMENTS: readonly (readonly [group: string, file: string])[] = [
  ["", "api__v1_openapi.json"],
  ["admissionregistration.k8s.io", "apis__admissionregistration.k8s.io__v1_openapi.json"],
  ["apps", "apis__apps__v1_openapi.json"],
  ["networking.k8s.io", "apis__networking.k8s.io__v1_openapi.json"],
  ["policy", "apis__policy__v1_openapi.json"],
  ["rbac.authorization.k8s.io", "apis__rbac.authorization.k8s.io__v1_openapi.json"],
  ["scheduling.k8s.io", "apis__scheduling.k8s.io__v1_openapi.json"],
];

/** What a path of Kubernetes' API makes. */
interface Operation {
  readonly "x-kubernetes-group-version-kind"?: GroupVersionKind;
}

/** A JSON schema. */
export interface Schema {
  readonly [keyword: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly additionalProperties?: Schema | boolean;
}

/** A custom resource definition. */
export interface Crd {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: { name: string; schema: { openAPIV3Schema: Schema } }[];
  };
}

interface OpenApi {
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** Writes the schemas of Argo CD's kinds into a folder. */
export function writeArgoCdSchemas(directory: string): void {
  for (const kind of ["application", "applicationset", "appproject"])
    writeCrdSchemas(directory, readCrd(join(moduleFolder(ARGOCD_MODULE), "manifests/crds", `${kind}-crd.yaml`)));
}

/** Writes the schemas of the kinds of Flux that a device pulls by into a folder. */
export function writeFluxSchemas(directory: string): void {
  for (const [module, crd] of FLUX_CRDS)
    writeCrdSchemas(directory, readCrd(join(moduleFolder(module), "config/crd/bases", crd)));
}

/** Writes the schemas of the Prometheus operator's kinds of which a hub has objects into a folder. */
export function writePrometheusOperatorSchemas(directory: string): void {
  for (const definition of prometheusOperatorDefinitions()) writeCrdSchemas(directory, definition);
}

/** Definitions of ServiceMonitor and PrometheusRule. */
export function prometheusOperatorDefinitions(): Crd[] {
  const folder = join(moduleFolder(PROMETHEUS_OPERATOR_MODULE), "example/prometheus-operator-crd");
  return ["servicemonitors", "prometheusrules"].map((kind) =>
    readCrd(join(folder, `monitoring.coreos.com_${kind}.yaml`)),
  );
}

function readCrd(file: string): Crd {
  return parse(readFileSync(file, "utf8")) as Crd;
}

function writeCrdSchemas(directory: string, { spec: { group, names, versions } }: Crd): void {
  for (const { name, schema } of versions)
    writeSchema(directory, { group, version: name, kind: names.kind }, strict(schema.openAPIV3Schema, true));
}

/** Writes the schemas of Kubernetes' kinds into a folder. */
export function writeKubernetesSchemas(directory: string): void {
  const folder = join(moduleFolder(KUBERNETES_MODULE), "api/openapi-spec/v3");
  for (const [group, file] of DOCUMENTS) {
    const { components } = JSON.parse(readFileSync(join(folder, file), "utf8")) as OpenApi;
    const schemas = Object.fromEntries(
      Object.entries(components.schemas).map(([name, schema]) => [name, strict(schema, false)]),
    );
    for (const [name, schema] of Object.entries(components.schemas)) {
      const kinds = (schema["x-kubernetes-group-version-kind"] ?? []) as readonly GroupVersionKind[];
      for (const kind of kinds.filter((candidate) => candidate.group === group && candidate.version === "v1"))
        writeSchema(directory, kind, { $ref: `#/components/schemas/${name}`, components: { schemas } });
    }
  }
}

/** Names of the resources of Kubernetes' kinds that are of the whole cluster, by `<group>/<Kind>`: `<group>/<resource>`. */
export function clusterScopedResources(): Map<string, string> {
  const file = join(moduleFolder(KUBERNETES_MODULE), "api/openapi-spec/swagger.json");
  const { paths } = JSON.parse(readFileSync(file, "utf8")) as { paths: Record<string, { post?: Operation }> };
  const created = Object.entries(paths).flatMap(([path, { post }]) => {
    const { group, kind } = post?.["x-kubernetes-group-version-kind"] ?? {};
    const [, resource] = /^\/apis?\/(?:[^/]+\/)?v[^/]+\/([a-z]+)$/.exec(path) ?? [];
    if (group === undefined || resource === undefined) return [];
    return [[group === "" ? `${kind}` : `${group}/${kind}`, `${group}/${resource}`] as const];
  });
  return new Map(created);
}

/**
 * Validates objects.
 * @param directory where the schemas are
 * @param input YAML or JSON documents
 * @returns kubeconform's summary
 * @throws Error with what it said when an object is invalid or there is no schema of its kind
 */
export function validate(directory: string, input: string): string {
  const location = join(directory, "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json");
  return runTool("kubeconform", ["-strict", "-summary", "-schema-location", location], input);
}

function moduleFolder(module: string): string {
  return (JSON.parse(runTool("go", ["mod", "download", "-json", module])) as { Dir: string }).Dir;
}

function writeSchema(directory: string, { group, version, kind }: GroupVersionKind, schema: Schema): void {
  // Of an object without a group, kubeconform takes the version for the group.
  writeFileSync(join(directory, `${kind.toLowerCase()}-${group || version}-${version}.json`), JSON.stringify(schema));
}

/**
 * A schema as strict JSON schema: what is not listed is refused, Kubernetes' extensions become JSON schema.
 * @param crd the top of a CRD, which leaves `metadata` open
 */
function strict(schema: Schema, crd: boolean): Schema {
  if (schema["x-kubernetes-int-or-string"] === true || schema.format === "int-or-string")
    return { type: ["integer", "string"] };
  const { properties, items, allOf, additionalProperties, ...rest } = schema;
  const open = schema["x-kubernetes-preserve-unknown-fields"] === true;
  const names = Object.entries(properties ?? {});
  const closed = names.map(([key, value]) => [key, crd && key === "metadata" ? value : strict(value, false)]);
  return {
    ...rest,
    ...(items === undefined ? {} : { items: strict(items, false) }),
    ...(allOf === undefined ? {} : { allOf: allOf.map((part) => strict(part, false)) }),
    ...(typeof additionalProperties === "object" ? { additionalProperties: strict(additionalProperties, false) } : {}),
    ...(properties === undefined ? {} : { properties: Object.fromEntries(closed), additionalProperties: open }),
  };
}
