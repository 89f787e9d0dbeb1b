/** K3s' `registries.yaml`, with the registries of a profile. https://docs.k3s.io/installation/private-registry */
import { stringify } from "yaml";
import type { Profile } from "../../../inventory/types.ts";
import type { DeviceFile } from "../distribution-plan.ts";
import { registryAccounts, sorted } from "../registries.ts";
import { CONFIG } from "./paths.ts";

/**
 * Renders the file.
 * @returns the file, `secret` where it holds a password; undefined where the profile names no registry
 * @throws Error as {@link registryAccounts}
 */
export function renderRegistries(
  profile: Profile,
  secrets: Readonly<Record<string, string>> = {},
): DeviceFile | undefined {
  const registries = sorted(profile.registries);
  if (registries.length === 0) return undefined;
  const mirrors = Object.fromEntries(
    registries.map(([registry, { endpoints }]) => [registry, { endpoint: endpoints }]),
  );
  const accounts = registryAccounts(profile, secrets);
  const configs = Object.fromEntries([...accounts].map(([host, auth]) => [host, { auth }]));
  const secret = accounts.size > 0;
  const content = stringify({ mirrors, ...(secret ? { configs } : {}) }, { lineWidth: 0 });
  return { path: `${CONFIG}/registries.yaml`, mode: "0600", content, live: false, ...(secret ? { secret } : {}) };
}
