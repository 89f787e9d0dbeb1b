/**
 * The cluster Secret of a device on the hub: what makes it a destination that the region's ApplicationSet finds by its
 * labels. It holds no secret: the device dials out and nobody dials in.
 */

import {
  AGENT_LABEL,
  controlPlaneNamespace,
  MODEL_LABEL,
  REGION_LABEL,
  RING_LABEL,
  SECRET_TYPE_LABEL,
  SHARD_LABEL,
  SKIP_RECONCILE_ANNOTATION,
  STATE_LABEL,
  WINDOW_LABEL,
} from "../gitops/labels.ts";
import type { ObjectMeta } from "../gitops/objects.ts";
import { bucketOf } from "../gitops/shards.ts";
import { deviceValues } from "../gitops/tree-facts.ts";
import { valueAnnotations } from "../gitops/values.ts";
import { windowGroup } from "../gitops/windows.ts";
import type { Profile } from "../inventory/types.ts";

/** A v1 Secret of Argo CD's type `cluster`. */
export interface ClusterSecret {
  readonly apiVersion: "v1";
  readonly kind: "Secret";
  readonly type: "Opaque";
  readonly metadata: Required<ObjectMeta>;
  readonly stringData: {
    /** Name of the cluster in Applications' destinations: the device's id. */
    readonly name: string;
    /** Unique per cluster; never dialled. */
    readonly server: string;
    /** Connection settings as JSON: none. */
    readonly config: string;
  };
}

/** The fields of a profile that its cluster Secret is made from. */
export type RegisteredProfile = Pick<Profile, "id" | "region" | "model" | "ring" | "labels"> &
  Partial<Pick<Profile, "values" | "maintenance" | "time">> & { readonly gitops: Pick<Profile["gitops"], "engine"> };

/**
 * Renders a device's cluster Secret. The labels of the profile are taken over; edge-fleet's and Argo CD's own win over
 * them. The label for an agent is there only if the device runs one. Annotations carry the device's values to its
 * Applications. That of a removed device is inert: no Application is made or changed for it, and those that are there stay.
 * @param removed the device is declared removed. Default false
 * @throws Error when the device has windows in a time zone that is not known
 */
export function renderClusterSecret(profile: RegisteredProfile, removed = false): ClusterSecret {
  const { id } = profile;
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: removed ? removedMetadata(profile) : clusterMetadata(profile),
    stringData: { name: id, server: `https://argocd-agent-resource-proxy:9090?agentName=${id}`, config: "{}" },
  };
}

function clusterMetadata(profile: RegisteredProfile): ClusterSecret["metadata"] {
  const { id, region, model, ring, labels, gitops, maintenance = [], time } = profile;
  return {
    name: `cluster-${id}`,
    namespace: controlPlaneNamespace(region),
    labels: {
      ...labels,
      ...(gitops.engine === "argocd-agent" ? { [AGENT_LABEL]: id } : {}),
      [SECRET_TYPE_LABEL]: "cluster",
      [REGION_LABEL]: region,
      [MODEL_LABEL]: model,
      [RING_LABEL]: ring,
      [SHARD_LABEL]: bucketOf(id),
      [WINDOW_LABEL]: windowGroup(maintenance, time?.zone ?? "UTC").name,
    },
    annotations: { [SKIP_RECONCILE_ANNOTATION]: "true", ...valueAnnotations(deviceValues(profile)) },
  };
}

/** The metadata of a removed device's Secret: no set, no principal and no controller takes it for a cluster. */
function removedMetadata({ id, region }: RegisteredProfile): ClusterSecret["metadata"] {
  return {
    name: `cluster-${id}`,
    namespace: controlPlaneNamespace(region),
    labels: { [REGION_LABEL]: region, [STATE_LABEL]: "removed" },
    annotations: {},
  };
}
