/**
 * From the registry mirrors of a profile to K3s' `registries.yaml`. Passwords come from the caller and are looked up by
 * the key of the stack's configuration, so that a profile never holds one.
 * https://docs.k3s.io/installation/private-registry
 */
import { stringify } from "yaml";
import type { Profile, RegistryMirror } from "../../inventory/types.ts";
import { error, type Finding, warning } from "./finding.ts";
import type { DeviceFile } from "./index.ts";

const PATH = "/etc/rancher/k3s/registries.yaml";

/** Keys of the passwords that the profile's registries name, sorted. */
export function registrySecretKeys({ registries }: Profile): string[] {
  const keys = Object.values(registries).flatMap(({ passwordSecret }) => passwordSecret ?? []);
  return [...new Set(keys)].sort();
}

/** What stands against the registries of a profile. */
export function checkRegistries({ registries }: Profile): Finding[] {
  const users = new Map<string, string>();
  return Object.entries(registries).flatMap(([registry, mirror]) => {
    const setting = `registries.${registry}`;
    const { endpoints, username, passwordSecret } = mirror;
    if ((username === undefined) !== (passwordSecret === undefined)) {
      const [has, lacks] = username === undefined ? ["passwordSecret", "username"] : ["username", "passwordSecret"];
      return [error(`${setting}.${lacks}: is missing beside ${has} - set both or neither`)];
    }
    if (username === undefined) return [];
    const host = endpointHost(mirror);
    const credentials = `${username} ${passwordSecret}`;
    const other = users.get(host);
    users.set(host, credentials);
    if (other !== undefined && other !== credentials) {
      return [
        error(`${setting}.username: another registry has other credentials for ${host} - use one account per host`),
      ];
    }
    return endpoints[0]?.startsWith("http:")
      ? [warning(`${setting}.endpoints: the password for ${host} travels unencrypted - use https`)]
      : [];
  });
}

/**
 * Renders `registries.yaml`.
 * @param secrets passwords by the key that `passwordSecret` names
 * @returns the file, `secret` where it holds a password; undefined where the profile names no registry
 * @throws Error naming the registry, the key and the mend, where a password is missing; never with a password
 */
export function renderRegistries(
  profile: Profile,
  secrets: Readonly<Record<string, string>> = {},
): DeviceFile | undefined {
  const registries = Object.entries(profile.registries).sort(([a], [b]) => (a < b ? -1 : 1));
  if (registries.length === 0) return undefined;
  const mirrors = Object.fromEntries(
    registries.map(([registry, { endpoints }]) => [registry, { endpoint: endpoints }]),
  );
  const configs = Object.fromEntries(
    registries.flatMap(([registry, mirror]) => {
      const { username, passwordSecret: key } = mirror;
      if (username === undefined || key === undefined) return [];
      const password = passwordOf(profile.id, registry, key, secrets);
      return [[endpointHost(mirror), { auth: { username, password } }]];
    }),
  );
  const secret = Object.keys(configs).length > 0;
  const content = stringify({ mirrors, ...(secret ? { configs } : {}) }, { lineWidth: 0 });
  return { path: PATH, mode: "0600", content, live: false, ...(secret ? { secret } : {}) };
}

function passwordOf(id: string, registry: string, key: string, secrets: Readonly<Record<string, string>>): string {
  const password = Object.hasOwn(secrets, key) ? secrets[key] : undefined;
  if (password !== undefined && password !== "") return password;
  throw new Error(
    `device ${id}: registries.${registry}.passwordSecret: the stack has no secret ${key} - run pulumi config set --secret edge-fleet:${key}`,
  );
}

/** Host and port by which K3s finds the credentials of a mirror: those of its first endpoint. */
function endpointHost({ endpoints }: RegistryMirror): string {
  return new URL(endpoints[0] ?? "").host;
}
