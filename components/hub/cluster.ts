/**
 * The cluster behind the kubeconfig: a provider for it that keeps no path of one machine in the state, and the question
 * which cluster it is, asked before anything else is registered.
 */
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { leaveToEngine } from "../engine.ts";
import type { HubCluster } from "./args.ts";

/** {@link HubCluster} without the fields that are only known once it was asked. */
export type ClusterAccess = Pick<HubCluster, "kubeconfig" | "context">;

/**
 * A provider for objects of the cluster with this UID, or of whichever cluster answers where the UID is not known yet. It
 * writes a changed ConfigMap or Secret in place: without `enableConfigMapMutable` and `enableSecretMutable` the provider
 * deletes the object and makes it anew (pulumi-kubernetes, provider/pkg/provider/diff.go), and a control plane would run
 * without its settings, or log in to Git without its credentials, for that moment.
 * @param args `namespace`: default of objects that name none
 */
export function hubProvider(
  name: string,
  { kubeconfig, context, uid }: ClusterAccess & Partial<Pick<HubCluster, "uid">>,
  { namespace }: { readonly namespace?: string },
  opts: pulumi.CustomResourceOptions,
): kubernetes.Provider {
  const identity = pulumi.output(uid ?? "any").apply((id) => (namespace === undefined ? id : `${id}/${namespace}`));
  return new kubernetes.Provider(
    name,
    {
      // Without a value the SDK takes the path in $KUBECONFIG, which is one machine's; "" leaves it to the provider.
      kubeconfig: kubeconfig ?? "",
      ...(context === undefined ? {} : { context }),
      ...(namespace === undefined ? {} : { namespace }),
      clusterIdentifier: identity,
      // A run that was killed before it saved its state leaves objects behind; the next run takes them over.
      upsertExistingObjects: true,
      enableConfigMapMutable: true,
      enableSecretMutable: true,
    },
    opts,
  );
}

/**
 * Asks the cluster for the UID of its namespace `kube-system`, through a provider of its own: whatever is kept for it in
 * the state says nothing about the cluster that the hub is installed on.
 * @throws Error when the cluster does not answer, or does not let its user read the namespace
 */
export async function readClusterUid(name: string, access: ClusterAccess): Promise<string> {
  const provider = hubProvider(`${name}-lookup`, access, {}, {});
  const namespace = kubernetes.core.v1.Namespace.get(`${name}-kube-system`, "kube-system", { provider });
  leaveToEngine(namespace);
  // Where the read fails, the engine either rejects its outputs or leaves them without a value.
  const uid = await new Promise<string | undefined>((resolve) => {
    pulumi.recover<string | undefined>(namespace.metadata.uid, () => undefined).apply(resolve);
  });
  if (!uid) throw new Error("the hub does not answer - see the error of its namespace kube-system");
  return uid;
}
