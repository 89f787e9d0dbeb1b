/** Speaks to a Kubernetes API with a kubeconfig: what the demo and the tests look at after the program has run. */
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";

/** A Kubernetes object as the API returns it. */
export interface ApiObject {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: { readonly server: string; "certificate-authority-data": string } }];
  readonly users: readonly [
    { readonly user: { "client-certificate-data"?: string; "client-key-data"?: string; token?: string } },
  ];
}

/** Answer of one request. */
export interface ApiAnswer {
  readonly status: number;
  /** The object; text where the server does not serve the path. */
  readonly body: unknown;
}

/** One GET. @param kubeconfig its text */
export function getApi(kubeconfig: string, path: string): Promise<ApiAnswer> {
  return callApi(kubeconfig, "GET", path);
}

/** Kinds whose plural is not the kind in lower case with an s. */
const PLURALS: Readonly<Record<string, string>> = {
  NetworkPolicy: "networkpolicies",
  PriorityClass: "priorityclasses",
};

/** An object that is applied. */
export interface AppliedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name?: unknown; readonly namespace?: unknown };
}

/** Path of an object at the API server. */
export function pathOf({ apiVersion, kind, metadata }: AppliedObject): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const place = metadata.namespace === undefined ? "" : `/namespaces/${metadata.namespace}`;
  return `${root}${place}/${PLURALS[kind] ?? `${kind.toLowerCase()}s`}/${metadata.name}`;
}

/**
 * Applies one object on the server, as a manifest folder or a GitOps engine does it; an unknown field is refused.
 * @param kubeconfig text of an administrator's
 * @param query further parameters, e.g. `dryRun=All`. Default: none
 */
export function applyObject(kubeconfig: string, object: AppliedObject, query = ""): Promise<ApiAnswer> {
  const path = `${pathOf(object)}?fieldManager=edge-fleet-lab&fieldValidation=Strict&${query}`;
  return callApi(kubeconfig, "APPLY", path, object);
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "APPLY" | "DELETE";

/**
 * One request, repeated after a second for up to 10 s while the server answers 429, as every Kubernetes client does: it
 * says so of a resource whose first reader has just made it build its cache.
 * @param kubeconfig its text
 * @param object what is sent, as JSON; with PATCH as a merge patch (RFC 7386), with APPLY as what is applied by the server
 */
export async function callApi(kubeconfig: string, method: Method, path: string, object?: object): Promise<ApiAnswer> {
  for (let tries = 1; ; tries++) {
    const answer = await send(kubeconfig, method, path, object);
    if (answer.status !== 429 || tries === 10) return answer;
    await sleep(1000);
  }
}

/** Content types other than plain JSON. */
const CONTENT_TYPE: Partial<Record<Method, string>> = {
  PATCH: "application/merge-patch+json",
  APPLY: "application/apply-patch+yaml",
};

function send(kubeconfig: string, method: Method, path: string, object?: object): Promise<ApiAnswer> {
  const { clusters, users } = parse(kubeconfig) as Kubeconfig;
  const { server, "certificate-authority-data": ca } = clusters[0].cluster;
  const { "client-certificate-data": cert, "client-key-data": key, token } = users[0].user;
  const pem = (data: string | undefined) => (data === undefined ? undefined : Buffer.from(data, "base64"));
  const payload = object === undefined ? undefined : Buffer.from(JSON.stringify(object));
  return new Promise((resolve, reject) => {
    const call = request(
      `${server}${path}`,
      {
        ca: pem(ca),
        cert: pem(cert),
        key: pem(key),
        method: method === "APPLY" ? "PATCH" : method,
        timeout: 10_000,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          // Without a length Node.js frames the body of a DELETE in no way, and the next request on the connection fails.
          ...(payload === undefined
            ? {}
            : { "content-type": CONTENT_TYPE[method] ?? "application/json", "content-length": payload.length }),
        },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.once("end", () => resolve({ status: response.statusCode ?? 0, body: parseBody(text) }));
      },
    );
    call.once("error", reject);
    call.once("timeout", () => call.destroy(new Error(`${server} does not answer`)));
    call.end(payload);
  });
}

/** The API server answers in JSON, but for a path that it does not serve. */
function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The objects of a list, e.g. of `/api/v1/namespaces/argocd-loopback/secrets`. @throws Error on any answer but 200 */
export async function listApi(kubeconfigPath: string, path: string): Promise<readonly ApiObject[]> {
  const { status, body } = await getApi(readFileSync(kubeconfigPath, "utf8"), path);
  if (status !== 200) throw new Error(`${path}: the API server answers ${status}`);
  return (body as { items: ApiObject[] }).items;
}

/**
 * Whether a service account may do something.
 * @param kubeconfig text of an administrator's
 * @param account namespace and name, `argocd:argocd-application-controller`
 */
export async function mayDo(
  kubeconfig: string,
  account: string,
  resourceAttributes: Readonly<Record<"verb" | "group" | "resource" | "namespace", string>>,
): Promise<boolean> {
  const { body } = await callApi(kubeconfig, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    spec: {
      user: `system:serviceaccount:${account}`,
      groups: ["system:serviceaccounts", "system:authenticated"],
      resourceAttributes,
    },
  });
  return (body as { status: { allowed: boolean } }).status.allowed;
}
