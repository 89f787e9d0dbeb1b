/**
 * What the plan of a device needs beside its profile: the server that it joins, whether others join it, and the secrets
 * of the stack that its files hold. Pure.
 */

import type { Profile } from "../inventory/index.ts";
import type { RenderContext } from "./distributions/distribution-plan.ts";
import { secretKeys } from "./distributions/k3s/secrets.ts";

/** Keys of every secret that the region's devices need, sorted. */
export function regionSecretKeys(profiles: readonly Profile[]): string[] {
  const servers = joinedServers(profiles);
  return [...new Set(profiles.flatMap((profile) => secretKeys(profile, servers.has(profile.id))))].sort();
}

/**
 * @param profiles of one region
 * @param secrets by key, see {@link regionSecretKeys}
 * @returns a context by device id
 */
export function deviceContexts(
  profiles: readonly Profile[],
  secrets: Readonly<Record<string, string>>,
): Map<string, RenderContext> {
  const byId = new Map(profiles.map((profile) => [profile.id, profile]));
  const servers = joinedServers(profiles);
  return new Map(
    profiles.map(({ id, joins }) => {
      const server = joins === undefined ? undefined : byId.get(joins);
      const agents = profiles.filter((profile) => profile.joins === id).map((profile) => profile.id);
      return [
        id,
        { ...(server === undefined ? {} : { server }), joined: servers.has(id), agents: agents.sort(), secrets },
      ];
    }),
  );
}

/** Ids of the devices that others join. */
export function joinedServers(profiles: readonly Profile[]): Set<string> {
  return new Set(profiles.flatMap(({ joins }) => (joins === undefined ? [] : [joins])));
}
