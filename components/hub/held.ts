/**
 * Asks the hub's API which objects of a region's namespace wait for the control plane: with the token of the region's own
 * account, so that neither the region's stack nor its secrets are needed.
 */
import { request } from "node:https";
import { controlPlaneNamespace } from "../gitops/labels.ts";
import type { HeldObject } from "./installed.ts";
import type { Cluster } from "./kubeconfig.ts";

/** Milliseconds for one answer. */
const TIMEOUT_MS = 30_000;

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
  const url = new URL(
    `/apis/argoproj.io/v1alpha1/namespaces/${controlPlaneNamespace(region)}/${plural}`,
    cluster.server,
  );
  const { status, text } = await get(url, cluster.certificateAuthorityData, token);
  if (status === 200) return JSON.parse(text) as ObjectList;
  throw new Error(
    `${url} answers ${status} to the account of region ${region}, so it is not known what its control plane holds - ` +
      `restore ${region}.yaml and run pulumi up --refresh, which puts the account right`,
  );
}

function get(url: URL, authority: string, token: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      { ca: Buffer.from(authority, "base64"), headers: { authorization: `Bearer ${token}` }, timeout: TIMEOUT_MS },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    call.once("timeout", () => call.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    call.once("error", ({ message }) => reject(new Error(`the hub ${url.origin} does not answer: ${message}`)));
    call.end();
  });
}
