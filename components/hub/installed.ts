/**
 * What the hub's previous run left in the state, and why a run may not go on from there: it stands on another cluster, or a
 * region's control plane is to go that nothing says may go. Pure.
 */
import { join } from "node:path";
import type { StackResource } from "../engine.ts";
import { controlPlaneNamespace } from "../gitops/labels.ts";
import { tokenName } from "./region-control-plane.ts";

/** A control plane that is in the state. */
export interface InstalledControlPlane {
  readonly region: string;
  /** The last run had its region declared removed, and has lifted the protection. */
  readonly removed: boolean;
  /** Token of the region's account, or undefined once its deletion has begun. */
  readonly token: string | undefined;
}

/** The hub as the state has it. */
export interface InstalledHub {
  /** UID of the cluster that it stands on, or undefined before the first run. */
  readonly clusterUid: string | undefined;
  readonly controlPlanes: readonly InstalledControlPlane[];
  /** Names of the definitions that it has made. */
  readonly definitions: readonly string[];
}

/** Finds the hub in the state of its stack. @param resources of `readStackResources` */
export function findInstalledHub(resources: readonly StackResource[]): InstalledHub {
  const hub = resources.find(({ type }) => type === "edge-fleet:index:Hub");
  const controlPlanes = resources.flatMap(({ type, name, outputs }) => {
    if (type !== "edge-fleet:index:ControlPlane" || hub === undefined) return [];
    const token = resources.find((resource) => resource.name === tokenName(name));
    const data = token?.outputs.data as Readonly<Record<string, string>> | undefined;
    return [
      {
        region: name.slice(hub.name.length + 1),
        removed: outputs.removed === true,
        token: data?.token === undefined ? undefined : Buffer.from(data.token, "base64").toString("utf8"),
      },
    ];
  });
  const group = `${hub?.name}-crds:`;
  const definitions = resources.map(({ name }) => name).filter((name) => name.startsWith(group));
  const uid = hub?.outputs.clusterUid;
  return {
    clusterUid: typeof uid === "string" ? uid : undefined,
    controlPlanes,
    definitions: definitions.map((name) => name.slice(group.length)),
  };
}

/** The control planes whose regions are no longer in the inventory. */
export function vanishedControlPlanes(hub: InstalledHub, regions: Iterable<string>): InstalledControlPlane[] {
  const known = new Set(regions);
  return hub.controlPlanes.filter(({ region }) => !known.has(region));
}

/**
 * Refuses regions whose file is gone without having said `state: removed` in a run before.
 * @param directory folder of the inventory
 * @throws Error that names each file
 */
export function refuseUndeclared(vanished: readonly InstalledControlPlane[], directory: string): void {
  const lines = vanished
    .filter(({ removed }) => !removed)
    .map(
      ({ region }) =>
        `${join(directory, `${region}.yaml`)} is gone but its control plane ${controlPlaneNamespace(region)} is still on ` +
        "the hub - restore the file, and write state: removed in it to remove the region",
    );
  if (lines.length > 0) throw new Error(lines.join("\n"));
}

/**
 * Refuses another cluster than the one that the hub was installed on.
 * @param stack the hub's
 * @throws Error with both UIDs
 */
export function refuseOtherCluster({ clusterUid }: InstalledHub, found: string, stack: string): void {
  if (clusterUid === undefined || clusterUid === found) return;
  throw new Error(
    `the kubeconfig leads to the cluster ${found}, and the hub is on the cluster ${clusterUid} (UIDs of their namespace ` +
      "kube-system) - set KUBECONFIG or edge-fleet:context to the hub's cluster; only if that one is gone for ever and " +
      `this one takes its place: pulumi state delete --all --force --stack ${stack}, and run again`,
  );
}

/** An object that would hold up the deletion of its namespace: its finalizers wait for a controller. */
export interface HeldObject {
  readonly kind: "ApplicationSet" | "Application";
  readonly name: string;
}

/** Most objects that a message names. */
const SHOWN = 5;

/**
 * Refuses to delete a control plane whose controllers are still needed by objects in its namespace.
 * @throws Error that names some of them
 */
export function refuseHeld(region: string, held: readonly HeldObject[]): void {
  if (held.length === 0) return;
  const namespace = controlPlaneNamespace(region);
  const names = held.slice(0, SHOWN).map(({ kind, name }) => `${kind} ${name}`);
  const more = held.length > SHOWN ? ` and ${held.length - SHOWN} more` : "";
  throw new Error(
    `the control plane ${namespace} cannot go: ${names.join(", ")}${more} would wait for its controllers for ever - ` +
      `restore ${region}.yaml with state: removed, run pulumi up --stack ${region}, then pulumi destroy --stack ${region}`,
  );
}
