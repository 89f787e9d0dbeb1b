/**
 * What a hub that is built anew cannot make by itself: the Applications of devices whose window is closed, and of those that
 * are held at an older commit; and by what name agents know their principal. Everything else comes back with `pulumi up`.
 * Renders a backup of them and plans what to restore from one. Pure; nothing of it is secret.
 */
import { controlPlaneNamespace, DEVICE_ANNOTATION } from "../../components/gitops/labels.ts";
import { UsageError } from "../exit.ts";

/** An object as the API server has it. */
export interface StoredObject {
  readonly metadata: {
    readonly name: string;
    /** Absent: none. */
    readonly labels?: Readonly<Record<string, string>>;
    /** Absent: none. */
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** An object of a backup: what somebody has written of it, and nothing that a cluster adds. */
export interface SavedObject extends StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: StoredObject["metadata"] & { readonly namespace: string };
}

/** A v1 List, so that `kubectl create -f` takes it too. */
export interface HubBackup {
  readonly apiVersion: "v1";
  readonly kind: "List";
  readonly items: readonly SavedObject[];
}

/** ConfigMap in which a principal writes down who it is (argocd-agent acb60cd1, pkg/principal/identity.go). */
export const PRINCIPAL_IDENTITY = "argocd-agent-principal-identity";

/** API versions of the kinds of a backup. */
const API_VERSIONS = { Application: "argoproj.io/v1alpha1", ConfigMap: "v1" } as const;
type Kind = keyof typeof API_VERSIONS;

/**
 * Renders the backup of a region.
 * @param applications of its control plane; those that are no device's are left out
 * @param identity of its principal; undefined: it has none
 */
export function renderHubBackup(
  region: string,
  applications: readonly StoredObject[],
  identity: StoredObject | undefined,
): HubBackup {
  const own = applications.filter(({ metadata }) => metadata.annotations?.[DEVICE_ANNOTATION] !== undefined);
  const items = [
    ...(identity === undefined ? [] : [save("ConfigMap", region, identity, { data: identity.data })]),
    ...own.map((application) => save("Application", region, application, { spec: application.spec })),
  ];
  return { apiVersion: "v1", kind: "List", items };
}

/** Without owners: the collector deletes what belongs to a set that is not there. */
function save(kind: Kind, region: string, { metadata }: StoredObject, content: object): SavedObject {
  const { name, labels, annotations } = metadata;
  return {
    apiVersion: API_VERSIONS[kind],
    kind,
    metadata: {
      name,
      namespace: controlPlaneNamespace(region),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    ...content,
  };
}

/** @param path names it in messages @throws UsageError when the text is no backup, or that of another region */
export function parseHubBackup(text: string, region: string, path: string): HubBackup {
  const use = `use a file of edge-fleet backup hub ${region}`;
  let backup: Partial<HubBackup> | null;
  try {
    backup = JSON.parse(text) as typeof backup;
  } catch {
    throw new UsageError(`${path}: is no JSON - ${use}`);
  }
  if (backup?.kind !== "List" || !Array.isArray(backup.items)) throw new UsageError(`${path}: is no backup - ${use}`);
  for (const [index, { kind, metadata }] of (backup as HubBackup).items.entries()) {
    if (!Object.hasOwn(API_VERSIONS, kind)) throw new UsageError(`${path} items.${index}: is a ${kind} - ${use}`);
    if (metadata.namespace !== controlPlaneNamespace(region))
      throw new UsageError(`${path} items.${index}: is of ${metadata.namespace} and not of region ${region} - ${use}`);
  }
  return backup as HubBackup;
}

/** What becomes of a backup's objects. */
export interface RestorePlan {
  /** In the order in which they are made. */
  readonly objects: readonly SavedObject[];
  /** Names of Applications whose device has no agent any more, or is gone. */
  readonly leftOut: readonly string[];
}

/** @param devices ids of the region's devices that have an agent */
export function planRestore({ items }: HubBackup, devices: ReadonlySet<string>): RestorePlan {
  const wanted = ({ kind, metadata }: SavedObject) =>
    kind !== "Application" || devices.has(metadata.annotations?.[DEVICE_ANNOTATION] ?? "");
  return {
    objects: items.filter(wanted),
    leftOut: items.filter((item) => !wanted(item)).map(({ metadata }) => metadata.name),
  };
}
