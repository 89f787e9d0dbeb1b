/**
 * Asks the hub's API which objects of a region's namespace wait for the control plane: with the token of the region's own
 * account, so that neither the region's stack nor its secrets are needed.
 */
import { controlPlaneNamespace } from "../gitops/labels.ts";
import { callApi } from "./api.ts";
import type { HeldObject } from "./installed.ts";
import type { Cluster } from "./kubeconfig.ts";

interface ObjectList {
  readonly items: readonly { readonly metadata: { readonly name: string; readonly finalizers?: readonly string[] } }[];
}

/**
 * Lists the ApplicationSets and Applications of a region that have finalizers.
 * @param token of the region's account
 * @throws Error when the API does not answer, or answers with anything but a list
 */
export async function listHeldObjects(cluster: Cluster, region: string, token: string): Promise<HeldObject[]> {
  const kinds = ["ApplicationSet", "Application"] as const;
  const lists = await Promise.all(kinds.map((kind) => list(cluster, region, token, `${kind.toLowerCase()}s`)));
  return kinds.flatMap((kind, index) =>
    (lists[index]?.items ?? [])
      .filter(({ metadata }) => (metadata.finalizers ?? []).length > 0)
      .map(({ metadata }) => ({ kind, name: metadata.name })),
  );
}

async function list(cluster: Cluster, region: string, token: string, plural: string): Promise<ObjectList> {
  const path = `/apis/argoproj.io/v1alpha1/namespaces/${controlPlaneNamespace(region)}/${plural}`;
  const { server, certificateAuthorityData } = cluster;
  const access = { server: server.replace(/\/$/, ""), ca: Buffer.from(certificateAuthorityData, "base64"), token };
  const { status, text } = await callApi(access, { path });
  if (status === 200) return JSON.parse(text) as ObjectList;
  throw new Error(
    `${server}${path} answers ${status} to the account of region ${region}, so it is not known what its control plane ` +
      `holds - restore ${region}.yaml and run pulumi up --refresh, which puts the account right`,
  );
}
