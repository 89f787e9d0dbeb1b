/**
 * STAND-IN for the internet: the release servers and registries that `edge-fleet lock` and devices ask, under their real names
 * and over TLS with an authority of the lab. Argo CD's manifests are those of its release; the binary of K3s is the lab's
 * stand-in; a registry knows a digest for every tag and has no layers.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { issueCertificate } from "./argocd/certificate.ts";
import { ADVERTISED_ADDRESS } from "./namespace.ts";
import { k3sApiStandin } from "./standins/index.ts";
import { argocdManifests } from "./toolchain/index.ts";

/** Who is stood in for. */
const HOSTS = ["github.com", "raw.githubusercontent.com", "quay.io", "public.ecr.aws"] as const;

/** Trusted authorities, where Debian's curl finds them. */
export const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

/** The running stand-in. */
export interface Upstream {
  /** PEM of the authority of its certificate. */
  readonly authority: string;
  /** Lines for the hosts file of whoever is to ask it. */
  readonly hosts: string;
  stop(): Promise<void>;
}

/**
 * Starts it on port 443, and lets the lab's namespaces find it.
 * @param directory where a hosts file goes
 * @param k3s the release of K3s that there is
 */
export async function startUpstream(directory: string, k3s: string): Promise<Upstream> {
  const { cert, key, authority } = issueCertificate(...HOSTS);
  const files = { ...k3sRelease(k3s), ...(await argocdRelease()) };
  const server = createServer({ cert, key }, (request, response) => answer(files, request, response));
  server.listen(443, ADVERTISED_ADDRESS);
  await once(server, "listening");
  const hosts = HOSTS.map((host) => `${ADVERTISED_ADDRESS} ${host}\n`).join("");
  const file = join(directory, "hosts");
  writeFileSync(file, `127.0.0.1 localhost\n${hosts}`);
  execFileSync("mount", ["--no-mtab", "--bind", file, "/etc/hosts"]);
  return {
    authority,
    hosts,
    stop: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Lets a device find it. @param root the device's file system */
export function introduce({ hosts, authority }: Upstream, root: string): void {
  appendFileSync(join(root, "etc/hosts"), hosts);
  appendFileSync(join(root, AUTHORITIES), authority);
}

type Files = Readonly<Record<string, string>>;

function k3sRelease(release: string): Files {
  const folder = `github.com/k3s-io/k3s/releases/download/${encodeURIComponent(release)}`;
  const binary = k3sApiStandin(release);
  const line = (name: string) => `${sha256(binary)}  ${name}\n`;
  return {
    [`${folder}/k3s`]: binary,
    [`${folder}/k3s-arm64`]: binary,
    [`${folder}/sha256sum-amd64.txt`]: line("k3s"),
    [`${folder}/sha256sum-arm64.txt`]: line("k3s-arm64"),
  };
}

async function argocdRelease(): Promise<Files> {
  const { version, directory } = await argocdManifests();
  const names = ["application", "applicationset", "appproject"].map((kind) => `crds/${kind}-crd.yaml`);
  const folder = `raw.githubusercontent.com/argoproj/argo-cd/${version}/manifests`;
  return Object.fromEntries(
    [...names, "namespace-install.yaml"].map((name) => [
      `${folder}/${name}`,
      readFileSync(join(directory, name), "utf8"),
    ]),
  );
}

function answer(files: Files, { method, url = "/", headers }: IncomingMessage, response: ServerResponse): void {
  const path = `${headers.host ?? ""}${url}`;
  const tag = /^(?:quay\.io|public\.ecr\.aws)\/v2\/.+\/manifests\/[^/]+$/.test(path);
  const text = tag ? path : files[path];
  if (text === undefined) response.writeHead(404).end();
  else {
    const told = tag ? { "Docker-Content-Digest": `sha256:${sha256(path)}` } : {};
    response.writeHead(200, { "Content-Length": Buffer.byteLength(text), ...told });
    response.end(method === "HEAD" ? undefined : text);
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
