/**
 * Definitions of Argo CD that another Argo CD of the cluster brought: read from the cluster, and refused where the hub would
 * install its own over them, or where they lack what the locked release's own have.
 */
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { leaveToEngine } from "../engine.ts";
import { FLEET_LABEL } from "../gitops/labels.ts";
import { type ApiAccess, callApi } from "./api.ts";
import { type ClusterAccess, hubProvider } from "./cluster.ts";
import type { ManifestObject } from "./manifests.ts";

/** A definition as the cluster has it. */
export interface FoundDefinition {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: unknown;
}

/**
 * Reads the definitions that are to be adopted.
 * @param name of the stack
 * @throws Error when the cluster lacks one, or does not let its user read it
 */
export async function readDefinitions(
  name: string,
  access: ClusterAccess,
  wanted: readonly ManifestObject[],
): Promise<FoundDefinition[]> {
  const provider = hubProvider(`${name}-definitions`, access, {}, {});
  return Promise.all(wanted.map(({ metadata }) => readDefinition(name, metadata.name, provider)));
}

async function readDefinition(
  name: string,
  definition: string,
  provider: kubernetes.Provider,
): Promise<FoundDefinition> {
  const resource = `${name}-${definition}`;
  const found = kubernetes.apiextensions.v1.CustomResourceDefinition.get(resource, definition, { provider });
  leaveToEngine(found);
  const values = pulumi.all([found.metadata, found.spec]);
  const read = await new Promise<FoundDefinition | undefined>((resolve) => {
    pulumi
      .recover<FoundDefinition | undefined>(
        values.apply(([{ labels = {}, annotations = {} }, spec]) => ({ name: definition, labels, annotations, spec })),
        () => undefined,
      )
      .apply(resolve);
  });
  if (read?.spec) return read;
  throw new Error(`${definition}: the cluster does not have it - write hub.definitions: install, or install it first`);
}

/** Most fields that a message names. */
const SHOWN = 3;

/**
 * Refuses definitions that lack a version or a field of the locked release's.
 * @throws Error that names what was found, whose it is, and what it lacks
 */
export function refuseOlder(found: readonly FoundDefinition[], wanted: readonly ManifestObject[]): void {
  const lines = wanted.flatMap((definition) => {
    const own = found.find(({ name }) => name === definition.metadata.name);
    if (own === undefined) return [`${definition.metadata.name}: was not found`];
    const has = fieldsOf(own.spec);
    const lacking = [...fieldsOf(definition.spec)].filter((field) => !has.has(field));
    if (lacking.length === 0) return [];
    const more = lacking.length > SHOWN ? ` and ${lacking.length - SHOWN} more` : "";
    return [`${own.name} (${ownerOf(own)}) lacks ${lacking.slice(0, SHOWN).join(", ")}${more}`];
  });
  if (lines.length === 0) return;
  throw new Error(
    `hub.definitions: adopt, but the cluster's are older than those of the locked release:\n${lines.join("\n")}\n` +
      "upgrade the Argo CD that they are of, or lock its release in hub.argocd.version",
  );
}

/** Marks the definitions that a fleet's hub installs, so that a run which follows a killed one knows its own. */
export function markDefinitions(definitions: readonly ManifestObject[], fleet: string): ManifestObject[] {
  return definitions.map((definition) => {
    const { metadata } = definition;
    return { ...definition, metadata: { ...metadata, labels: { ...metadata.labels, [FLEET_LABEL]: fleet } } };
  });
}

/** Asks for an object's labels and annotations alone: a definition is hundreds of kilobytes. */
const METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/**
 * Finds the definitions that the cluster has already, without reading them through the engine, for which one that is not
 * there is an error.
 * @param names of the definitions
 * @throws Error when the cluster does not answer, or does not let its user read them
 */
export async function findDefinitions(
  access: ApiAccess,
  names: readonly string[],
): Promise<Omit<FoundDefinition, "spec">[]> {
  const found = await Promise.all(
    names.map(async (name) => {
      const { status, text } = await callApi(access, { path: `${DEFINITIONS}/${name}`, accept: METADATA_ONLY });
      if (status === 404) return [];
      if (status !== 200)
        throw new Error(
          `${access.server}${DEFINITIONS}/${name} answers ${status}, so it is not known whether another Argo CD has it - ` +
            "let the hub's user read custom resource definitions",
        );
      const { labels = {}, annotations = {} } = (JSON.parse(text) as { metadata: Partial<FoundDefinition> }).metadata;
      return [{ name, labels, annotations }];
    }),
  );
  return found.flat();
}

/**
 * Refuses definitions that this fleet's hub has not made: it would take them over, and all Applications of the other Argo
 * CD would go with them one day.
 * @throws Error that names each and whose it is
 */
export function refuseForeign(found: readonly Omit<FoundDefinition, "spec">[], fleet: string): void {
  const lines = found
    .filter(({ labels }) => labels[FLEET_LABEL] !== fleet)
    .map((definition) => `${definition.name} (${ownerOf(definition)})`);
  if (lines.length === 0) return;
  throw new Error(
    `hub.definitions: install, but the cluster has definitions that this hub has not made:\n${lines.join("\n")}\n` +
      "write hub.definitions: adopt into fleet.yaml, which leaves them to the Argo CD that they are of",
  );
}

/** Helm and Argo CD say so in labels and annotations; others say nothing. */
function ownerOf({ labels, annotations }: Omit<FoundDefinition, "spec">): string {
  const release = annotations["meta.helm.sh/release-name"];
  const said = [
    ...(release === undefined ? [] : [`Helm release ${annotations["meta.helm.sh/release-namespace"]}/${release}`]),
    ...[
      FLEET_LABEL,
      "helm.sh/chart",
      "app.kubernetes.io/managed-by",
      "app.kubernetes.io/version",
      "argocd.argoproj.io/instance",
    ]
      .filter((label) => labels[label] !== undefined)
      .map((label) => `${label}=${labels[label]}`),
  ];
  return said.join(", ") || "nobody says that it is theirs";
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
}

/** `v1alpha1.spec.source.helm` and so on, of the versions that are served. */
function fieldsOf(spec: unknown): Set<string> {
  const { versions } = spec as { versions: { name: string; served: boolean; schema: { openAPIV3Schema: Schema } }[] };
  const fields = new Set<string>();
  const walk = (path: string, { properties = {}, items, additionalProperties }: Schema) => {
    fields.add(path);
    for (const [name, schema] of Object.entries(properties)) walk(`${path}.${name}`, schema);
    if (items !== undefined) walk(`${path}[]`, items);
    if (typeof additionalProperties === "object") walk(`${path}.*`, additionalProperties);
  };
  for (const { name, served, schema } of versions) if (served) walk(name, schema.openAPIV3Schema);
  return fields;
}
