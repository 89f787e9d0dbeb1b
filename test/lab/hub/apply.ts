/** Server-side apply, as a manifest folder or a GitOps engine does it, with every field checked. */
import { request } from "node:https";
import { parse } from "yaml";
import type { ApiAnswer } from "./api.ts";

/** An object that is applied. */
export interface AppliedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name?: unknown; readonly namespace?: unknown };
}

interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: { readonly server: string; "certificate-authority-data": string } }];
  readonly users: readonly [{ readonly user: { "client-certificate-data": string; "client-key-data": string } }];
}

/** Kinds whose plural is not the kind in lower case with an s. */
const PLURALS: Readonly<Record<string, string>> = {
  NetworkPolicy: "networkpolicies",
  PriorityClass: "priorityclasses",
};

/** Path of an object at the API server. */
export function pathOf({ apiVersion, kind, metadata }: AppliedObject): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const place = metadata.namespace === undefined ? "" : `/namespaces/${metadata.namespace}`;
  return `${root}${place}/${PLURALS[kind] ?? `${kind.toLowerCase()}s`}/${metadata.name}`;
}

/**
 * Applies one object; an unknown field is refused.
 * @param kubeconfig text of an administrator's
 * @param query further parameters, e.g. `dryRun=All`. Default: none
 */
export function applyObject(kubeconfig: string, object: AppliedObject, query = ""): Promise<ApiAnswer> {
  const { clusters, users } = parse(kubeconfig) as Kubeconfig;
  const { server, "certificate-authority-data": ca } = clusters[0].cluster;
  const { "client-certificate-data": cert, "client-key-data": key } = users[0].user;
  const body = Buffer.from(JSON.stringify(object));
  const pem = (data: string): Buffer => Buffer.from(data, "base64");
  const url = `${server}${pathOf(object)}?fieldManager=edge-fleet&fieldValidation=Strict&${query}`;
  const headers = { "content-type": "application/apply-patch+yaml", "content-length": body.length };
  return new Promise((resolve, reject) => {
    const call = request(url, { ca: pem(ca), cert: pem(cert), key: pem(key), method: "PATCH", headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("end", () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
    });
    call.once("error", reject);
    call.end(body);
  });
}
