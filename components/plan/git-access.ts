/**
 * The objects by which Argo CD logs in to the fleet's Git repository, on a device and on the hub (Flux: flux-git.ts),
 * and what stands against it. Passwords and keys come from the caller and are looked up by their keys in the stack's
 * configuration. https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories Pure.
 */
import { createPrivateKey } from "node:crypto";
import { pullsByItself } from "../gitops/engine/pulls.ts";
import { gitSecretName } from "../gitops/labels.ts";
import type { Profile } from "../inventory/types.ts";
import { error, type Finding, warning } from "./distributions/finding.ts";

/** How the repository is read, see `gitops.access`. */
export type GitAccess = NonNullable<Profile["gitops"]["access"]>;

/** Keys of the secrets in the stack's configuration, `edge-fleet:<key>`. */
const SECRET_KEYS: Readonly<Record<GitAccess["type"], string | undefined>> = {
  none: undefined,
  https: "git-password",
  ssh: "git-ssh-key",
  githubApp: "git-github-app-key",
};

/** All of them. */
export const GIT_SECRET_KEYS: readonly string[] = Object.values(SECRET_KEYS).filter((key) => key !== undefined);

/** What of a profile decides it. */
type Source = Pick<Profile, "gitops" | "joins">;

/** A Kubernetes object that holds texts. */
export interface TextObject {
  readonly apiVersion: "v1";
  readonly kind: "ConfigMap" | "Secret";
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  /** Of a ConfigMap. Absent: a Secret. */
  readonly data?: Readonly<Record<string, string>>;
  /** Of a Secret. Absent: a ConfigMap. */
  readonly stringData?: Readonly<Record<string, string>>;
}

const PART_OF = { "app.kubernetes.io/part-of": "argocd" };

/** Keys of the secrets with which a device logs in: at most one. */
export function gitSecretKeys(profile: Source): string[] {
  const key = SECRET_KEYS[profile.gitops.access?.type ?? "none"];
  return key === undefined || !pullsByItself(profile) ? [] : [key];
}

/** What stands against `gitops.access` of a device, but for the URL, which {@link checkGitUrl} compares. */
export function checkGitAccess(profile: Source): Finding[] {
  const { access } = profile.gitops;
  if (access === undefined || !pullsByItself(profile)) return [];
  const missing = (field: keyof GitAccess, fix: string) =>
    access[field] === undefined ? [error(["gitops", "access", field], `is missing - ${fix}`)] : [];
  switch (access.type) {
    case "ssh":
      return missing("knownHosts", "write what ssh-keyscan says of the Git server, after you have compared it");
    case "githubApp":
      return [
        ...missing("appId", "write the App ID that GitHub shows for the app"),
        ...missing("installationId", "write the number that ends the URL of its installation"),
      ];
    default:
      return [];
  }
}

/** What stands against reading this URL so. */
export function checkGitUrl(access: GitAccess | undefined, url: string): Finding[] {
  if (access === undefined) return [];
  const setting = ["gitops", "access", "type"];
  const ssh = isSshUrl(url);
  if (access.type === "ssh" && !ssh)
    return [error(setting, `is ssh, but git.url is ${url} - write git.url as ssh://git@<host>/<path>`)];
  if ((access.type === "https" || access.type === "githubApp") && ssh)
    return [error(setting, `is ${access.type}, but git.url is ${url} - write git.url as https://<host>/<path>`)];
  return access.type === "https" && url.startsWith("http:")
    ? [warning(setting, `the password for ${url} travels unencrypted - use https`)]
    : [];
}

/** Host of the server of a repository, without port; undefined for a path. */
function gitHost(url: string): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url).hostname : /^(?:[^@/]+@)?([^:/]+):/.exec(url)?.[1];
  return parsed === "" ? undefined : parsed?.replace(/^\[|\]$/g, "");
}

function isSshUrl(url: string): boolean {
  return url.startsWith("ssh://") || (!url.includes("://") && /^(?:[^@/]+@)?[^:/]+:/.test(url));
}

/**
 * The ConfigMaps with the pinned host keys and authorities. Both are always there, since the repo-server mounts them.
 * @param urls repositories whose server has the private authority
 */
export function gitTrust(access: GitAccess | undefined, urls: readonly string[], namespace: string): TextObject[] {
  const { knownHosts, ca } = access ?? {};
  const hosts = [...new Set(urls.flatMap((url) => gitHost(url) ?? []))].sort();
  const map = (name: string, data: Record<string, string>): TextObject => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, labels: PART_OF },
    data,
  });
  return [
    map("argocd-ssh-known-hosts-cm", { ssh_known_hosts: knownHosts === undefined ? "" : `${knownHosts.trimEnd()}\n` }),
    map("argocd-tls-certs-cm", ca === undefined ? {} : Object.fromEntries(hosts.map((host) => [host, ca]))),
  ];
}

/**
 * The repository Secret of each URL; none where the repository is public. For its name see `gitSecretName`: in one with
 * both, Argo CD takes a password before a key (GetGitCreds of pkg/apis/application/v1alpha1/repository_types.go, v3.2.11).
 * @param place who needs it, for messages, e.g. `device edge-0001`
 * @throws Error naming the key and the fix, never the secret
 */
export function gitCredentials(
  access: GitAccess | undefined,
  urls: readonly string[],
  namespace: string,
  place: string,
  secrets: Readonly<Record<string, string>> = {},
): TextObject[] {
  const secret = access === undefined ? "" : gitSecret(access, place, secrets);
  if (access === undefined || secret === "") return [];
  const name = gitSecretName(access.type);
  return urls.map((url, index) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: index === 0 ? name : `${name}-${index + 1}`,
      namespace,
      labels: { ...PART_OF, "argocd.argoproj.io/secret-type": "repository" },
    },
    stringData: { type: "git", url, ...loginOf(access, secret) },
  }));
}

function loginOf(access: GitAccess, secret: string): Record<string, string> {
  const { type, username, appId, installationId, apiUrl } = access;
  if (type === "https") return { username, password: secret };
  if (type === "ssh") return { sshPrivateKey: secret };
  return {
    githubAppID: String(appId),
    githubAppInstallationID: String(installationId),
    githubAppPrivateKey: secret,
    ...(apiUrl === undefined ? {} : { githubAppEnterpriseBaseUrl: apiUrl }),
  };
}

/**
 * The password or the private key; empty where the repository is public.
 * @param place who needs it, for messages, e.g. `device edge-0001`
 * @throws Error naming the key and the fix, never the secret
 */
export function gitSecret(access: GitAccess, place: string, secrets: Readonly<Record<string, string>>): string {
  const key = SECRET_KEYS[access.type];
  return key === undefined ? "" : secretOf(access, key, secrets, place);
}

/** A key ends with a line break, which a terminal's paste loses; a password has none. */
function secretOf({ type }: GitAccess, key: string, secrets: Readonly<Record<string, string>>, place: string): string {
  const value = Object.hasOwn(secrets, key) ? (secrets[key] ?? "") : "";
  const refuse = (what: string, how: string) => new Error(`${place}: gitops.access: ${what} - run ${how}`);
  const fromFile = `pulumi config set --secret edge-fleet:${key} <KEYFILE`;
  if (type === "https") {
    const password = value.replace(/\r?\n$/, "");
    const how = `pulumi config set --secret edge-fleet:${key}`;
    if (password === "") throw refuse(`the stack has no secret ${key}`, how);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the purpose
    if (/[\u0000-\u001f\u007f]/.test(password)) throw refuse(`the secret ${key} has a line break inside`, how);
    return password;
  }
  if (value === "") throw refuse(`the stack has no secret ${key}`, fromFile);
  const text = `${value.trim()}\n`;
  if (!isPrivateKey(text, type)) throw refuse(`the secret ${key} is no private key without a passphrase`, fromFile);
  return text;
}

/** OpenSSH's own format is one that Node does not read: its cipher stands in clear at its beginning. */
function isPrivateKey(text: string, type: GitAccess["type"]): boolean {
  const openssh = /^-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END OPENSSH PRIVATE KEY-----\n$/.exec(
    text,
  );
  if (openssh !== null && type === "ssh")
    return Buffer.from(openssh[1] ?? "", "base64")
      .toString("latin1")
      .startsWith("openssh-key-v1\0\0\0\0\u0004none");
  try {
    createPrivateKey(text);
    return true;
  } catch {
    return false;
  }
}
