/**
 * The registries of a profile: whose account belongs to which host, and what stands against them. Passwords come from the
 * caller and are looked up by the key of the stack's configuration, so that a profile never holds one.
 */
import type { Profile, RegistryMirror } from "../../inventory/types.ts";
import { error, type Finding, warning } from "./finding.ts";

/** Keys of the passwords that the profile's registries name, sorted. */
export function registrySecretKeys({ registries }: Profile): string[] {
  const keys = Object.values(registries).flatMap(({ passwordSecret }) => passwordSecret ?? []);
  return [...new Set(keys)].sort();
}

/** What stands against the registries of a profile. */
export function checkRegistries({ registries }: Profile): Finding[] {
  const users = new Map<string, string>();
  return Object.entries(registries).flatMap(([registry, mirror]) => checkAccount(registry, mirror, users));
}

/** @param users account by host of the registries before; receives that of this one */
function checkAccount(registry: string, mirror: RegistryMirror, users: Map<string, string>): Finding[] {
  const setting = (field: keyof RegistryMirror) => ["registries", registry, field];
  const { endpoints, username, passwordSecret } = mirror;
  if ((username === undefined) !== (passwordSecret === undefined)) {
    const [has, lacks] =
      username === undefined ? (["passwordSecret", "username"] as const) : (["username", "passwordSecret"] as const);
    return [error(setting(lacks), `is missing beside ${has} - set both or neither`)];
  }
  if (username === undefined) return [];
  // RFC 7617: what stands behind the first colon is the password.
  if (username.includes(":"))
    return [error(setting("username"), "has a colon, which HTTP cannot carry in a user's name - use another account")];
  const host = endpointHost(mirror);
  const credentials = `${username} ${passwordSecret}`;
  const other = users.get(host);
  users.set(host, credentials);
  if (other !== undefined && other !== credentials)
    return [
      error(setting("username"), `another registry has other credentials for ${host} - use one account per host`),
    ];
  return endpoints.some((endpoint) => endpoint.startsWith("http:") && hostOf(endpoint) === host)
    ? [warning(setting("endpoints"), `the password for ${host} travels unencrypted - use https`)]
    : [];
}

/** An account at a host. */
export interface RegistryAccount {
  readonly username: string;
  readonly password: string;
}

/**
 * Accounts by {@link hostOf} of an endpoint. An account holds wherever its host is an endpoint, also for another registry.
 * @param secrets passwords by the key that `passwordSecret` names
 * @throws Error naming the registry, the key and the fix, where a password is missing; never with a password
 */
export function registryAccounts(
  { id, registries }: Profile,
  secrets: Readonly<Record<string, string>> = {},
): Map<string, RegistryAccount> {
  return new Map(
    sorted(registries).flatMap(([registry, mirror]) => {
      const { username, passwordSecret: key } = mirror;
      if (username === undefined || key === undefined) return [];
      return [[endpointHost(mirror), { username, password: passwordOf(id, registry, key, secrets) }]];
    }),
  );
}

/** Registries by name, in an order that no layer decides. */
export function sorted(registries: Profile["registries"]): [string, RegistryMirror][] {
  return Object.entries(registries).sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * Host and port of an endpoint as they are written: K3s and containerd look an account up by that text, also where the port
 * is the scheme's own. K3s: pkg/agent/containerd/config.go (normalizeEndpointAddress, configForHost), branches release-1.32, -1.34 and main.
 */
export function hostOf(endpoint: string): string {
  return /^https?:\/\/(?:[^@/?#]*@)?([^/?#]*)/i.exec(endpoint)?.[1] ?? "";
}

function passwordOf(id: string, registry: string, key: string, secrets: Readonly<Record<string, string>>): string {
  const password = Object.hasOwn(secrets, key) ? secrets[key] : undefined;
  if (password !== undefined && password !== "") return password;
  throw new Error(
    `device ${id}: registries.${registry}.passwordSecret: the stack has no secret ${key} - run pulumi config set --secret edge-fleet:${key}`,
  );
}

/** The host that a registry's account belongs to: that of its first endpoint. */
function endpointHost({ endpoints }: RegistryMirror): string {
  return hostOf(endpoints[0] ?? "");
}
