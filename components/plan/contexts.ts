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
  const agents = Map.groupBy(profiles.filter(isAgent), ({ joins }) => joins);
  return new Map(
    profiles.map(({ id, joins }) => {
      const server = joins === undefined ? undefined : byId.get(joins);
      const own = (agents.get(id) ?? []).map((agent) => agent.id).sort();
      return [id, { ...(server === undefined ? {} : { server }), joined: own.length > 0, agents: own, secrets }];
    }),
  );
}

/** Ids of the devices that others join. */
export function joinedServers(profiles: readonly Profile[]): Set<string> {
  return new Set(profiles.filter(isAgent).map(({ joins }) => joins));
}

/** One that is removed joins nobody any more, and its server forgets it. */
function isAgent(profile: Profile): profile is Profile & { readonly joins: string } {
  return profile.joins !== undefined && profile.state === "present";
}
