/**
 * Definitions of Argo CD that another Argo CD of the cluster brought: read from the cluster, and refused where they lack
 * what the locked release's own have.
 */
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { leaveToEngine } from "../engine.ts";
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

/** Helm and Argo CD say so in labels and annotations; others say nothing. */
function ownerOf({ labels, annotations }: FoundDefinition): string {
  const release = annotations["meta.helm.sh/release-name"];
  const said = [
    ...(release === undefined ? [] : [`Helm release ${annotations["meta.helm.sh/release-namespace"]}/${release}`]),
    ...["helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "argocd.argoproj.io/instance"]
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
