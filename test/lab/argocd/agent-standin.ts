/**
 * STAND-IN for the processes of argocd-agent, which no package registry has: a copier that asks three times a second where
 * the real one holds a stream. `agent-program.ts` takes the real one where it is on PATH. Started as
 * `node agent-standin.ts <version> principal|agent --kubeconfig <file>`.
 *
 * What it claims of argocd-agent acb60cd1: the variables, Secrets and ConfigMaps that it reads
 * (cmd/argocd-agent/principal.go, agent.go; internal/config/constants.go); who is let in (principal/auth.go,
 * principal/apis/auth/auth.go: version, subject; internal/blocklist/configmap.go); which Applications and projects an agent
 * gets, and what they become on a device (principal/callbacks.go, agent/inbound.go); that they are put back when somebody
 * changes them there, and go when the hub has none (agent/outbound.go, internal/resync/resync.go). Tokens, Redis and events
 * it has not.
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer, type RequestOptions, request } from "node:https";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import { callApi } from "../hub/api.ts";

const POLL_MS = 300;
const SOURCE_UID = "argocd.argoproj.io/source-uid";
const AGENT_LABEL = "argocd-agent.argoproj-labs.io/agent-name";
const KINDS = ["applications", "appprojects"] as const;

interface Stored {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly destination?: { readonly name?: string }; readonly destinations?: readonly Destination[] };
  readonly status?: object;
}

interface Destination {
  readonly name?: string;
  readonly server?: string;
  readonly namespace?: string;
}

type Copies = Readonly<Record<(typeof KINDS)[number], readonly Stored[]>>;

/** Statuses of Applications by name. */
type Statuses = Readonly<Record<string, object>>;

const [version = "", role, , kubeconfigPath = ""] = process.argv.slice(2);
const kubeconfig = readFileSync(kubeconfigPath, "utf8");
const variable = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};
const ask = async (method: Parameters<typeof callApi>[1], path: string, object?: object): Promise<unknown> => {
  const { status, body } = await callApi(kubeconfig, method, path, object);
  if (status >= 300 && status !== 404 && status !== 409) throw new Error(`${method} ${path}: ${JSON.stringify(body)}`);
  return status === 404 ? undefined : body;
};
const listed = async (path: string) => ((await ask("GET", path)) as { items: Stored[] }).items;
const pathOf = (namespace: string, plural: string) => `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/${plural}`;
const field = async (namespace: string, secret: string, key: string): Promise<string> => {
  const { data = {} } = ((await ask("GET", `/api/v1/namespaces/${namespace}/secrets/${secret}`)) ?? {}) as {
    data?: Record<string, string>;
  };
  const value = data[key];
  if (value === undefined) throw new Error(`Secret ${secret} has no ${key}`);
  return Buffer.from(value, "base64").toString("utf8");
};

await (role === "principal" ? runPrincipal() : runAgent());

async function runPrincipal(): Promise<void> {
  const namespace = variable("ARGOCD_PRINCIPAL_NAMESPACE");
  const subject = new RegExp(variable("ARGOCD_PRINCIPAL_AUTH").replace(/^mtls:subject:/, ""));
  await field(namespace, "argocd-agent-jwt", "jwt.key");
  const identity = {
    metadata: { name: "argocd-agent-principal-identity" },
    data: { "principal-uid": `${process.pid}` },
  };
  await ask("POST", `/api/v1/namespaces/${namespace}/configmaps`, identity);
  const tls = {
    ca: await field(namespace, "argocd-agent-ca", "ca.crt"),
    cert: await field(namespace, variable("ARGOCD_PRINCIPAL_TLS_SECRET_NAME"), "tls.crt"),
    key: await field(namespace, variable("ARGOCD_PRINCIPAL_TLS_SECRET_NAME"), "tls.key"),
  };
  const server = createServer(
    { ...tls, minVersion: "TLSv1.3", requestCert: true, rejectUnauthorized: true },
    async (call, answer) => {
      try {
        const copies = await serve(call, namespace, subject);
        answer.writeHead(typeof copies === "string" ? 403 : 200).end(JSON.stringify(copies));
      } catch (error) {
        console.error(error);
        answer.writeHead(500).end();
      }
    },
  );
  server.listen(Number(variable("ARGOCD_PRINCIPAL_LISTEN_PORT")), variable("ARGOCD_PRINCIPAL_LISTEN_HOST"));
}

/** @returns why the agent is refused, or what it gets */
async function serve(call: IncomingMessage, namespace: string, subject: RegExp): Promise<string | Copies> {
  const certificate = new X509Certificate((call.socket as TLSSocket).getPeerCertificate().raw);
  const [, agent] = subject.exec(certificate.subject) ?? [];
  if (agent === undefined) return `subject ${certificate.subject} is no agent's`;
  if (call.headers["x-version"] !== version) return "version mismatch";
  const blocklist = await ask("GET", `/api/v1/namespaces/${namespace}/configmaps/argocd-agent-tls-blocklist`);
  const blocked = Object.keys((blocklist as { data?: object } | undefined)?.data ?? {});
  if (blocked.includes(certificate.fingerprint256.replaceAll(":", ""))) return "certificate is blocked";
  for (const [name, status] of Object.entries(JSON.parse(await text(call)) as Statuses))
    await ask("PATCH", `${pathOf(namespace, "applications")}/${name}`, { status });
  const clusters = await listed(`/api/v1/namespaces/${namespace}/secrets`);
  const isMapped = clusters.some(({ metadata }) => metadata.labels?.[AGENT_LABEL] === agent);
  // The real one sends such an agent nothing, so it keeps what it has.
  if (!isMapped) return "no cluster is mapped to the agent";
  const applications = (await listed("/apis/argoproj.io/v1alpha1/applications")).filter(
    ({ metadata, spec }) => metadata.namespace === namespace && spec.destination?.name === agent,
  );
  const projects = (await listed(pathOf(namespace, "appprojects"))).filter(({ spec: { destinations = [] } }) =>
    destinations.some(({ name = "" }) => name === "*" || name === agent),
  );
  return { applications, appprojects: projects };
}

async function runAgent(): Promise<void> {
  const namespace = variable("ARGOCD_AGENT_NAMESPACE");
  const secret = variable("ARGOCD_AGENT_TLS_SECRET_NAME");
  const [authority, certificate, key] = [
    await field(namespace, variable("ARGOCD_AGENT_TLS_ROOT_CA_SECRET_NAME"), "ca.crt"),
    await field(namespace, secret, "tls.crt"),
    await field(namespace, secret, "tls.key"),
  ];
  const options = {
    ...{ host: variable("ARGOCD_AGENT_REMOTE_SERVER"), port: Number(variable("ARGOCD_AGENT_REMOTE_PORT")) },
    ...{ method: "POST", ca: authority, cert: certificate, key, agent: false, headers: { "x-version": version } },
  } as const;
  let last: Copies | undefined;
  for (;;) {
    const present = await listed(pathOf(namespace, "applications"));
    const statuses = present.flatMap(({ metadata, status }) => (status === undefined ? [] : [[metadata.name, status]]));
    try {
      last = await exchange(options, Object.fromEntries(statuses) as Statuses);
    } catch (error) {
      console.error((error as Error).message);
    }
    try {
      if (last !== undefined) for (const plural of KINDS) await copy(namespace, plural, last[plural]);
    } catch (error) {
      console.error((error as Error).message);
    }
    await sleep(POLL_MS);
  }
}

/** @throws Error when the principal cannot be reached, is not the one that is trusted, or refuses */
function exchange(options: RequestOptions, statuses: Statuses): Promise<Copies> {
  return new Promise((resolve, reject) => {
    const call = request(options, async (response) => {
      const body = await text(response);
      if (response.statusCode === 200) resolve(JSON.parse(body) as Copies);
      else reject(new Error(`the principal answers ${response.statusCode}: ${body}`));
    });
    call.once("error", reject);
    call.end(JSON.stringify(statuses));
  });
}

async function copy(namespace: string, plural: (typeof KINDS)[number], wanted: readonly Stored[]): Promise<void> {
  const path = pathOf(namespace, plural);
  const present = new Map((await listed(path)).map((object) => [object.metadata.name, object]));
  for (const source of wanted) {
    const { name } = source.metadata;
    const found = present.get(name);
    const object = onDevice(source, namespace);
    present.delete(name);
    if (found === undefined) await ask("POST", path, object);
    else if (!isSame(found, object))
      await ask("PUT", `${path}/${name}`, { ...found, ...object, metadata: { ...found.metadata, ...object.metadata } });
  }
  for (const { metadata } of present.values())
    if (metadata.annotations?.[SOURCE_UID] !== undefined) await ask("DELETE", `${path}/${metadata.name}`);
}

function onDevice({ apiVersion, kind, metadata, spec }: Stored, namespace: string) {
  const { name, uid, labels = {}, annotations = {} } = metadata;
  const { destination, destinations } = spec;
  const here = destinations?.map((each) => ({ ...each, name: "in-cluster", server: "https://kubernetes.default.svc" }));
  return {
    ...{ apiVersion, kind },
    metadata: { name, namespace, labels, annotations: { ...annotations, [SOURCE_UID]: uid } },
    spec: {
      ...spec,
      ...(destination === undefined ? {} : { destination: { ...destination, name: "in-cluster" } }),
      ...(here === undefined ? {} : { destinations: here }),
    },
  };
}

function isSame({ metadata, spec }: Stored, wanted: ReturnType<typeof onDevice>): boolean {
  const uid = wanted.metadata.annotations[SOURCE_UID];
  return isDeepStrictEqual(spec, wanted.spec) && metadata.annotations?.[SOURCE_UID] === uid;
}
