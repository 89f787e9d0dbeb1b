/**
 * What the plan of a device needs beside its profile: the server that it joins, whether others join it, what its
 * engine starts from, and the secrets of the stack that its files hold. Pure.
 */

import { runsAgent } from "../gitops/engine/agent/settings.ts";
import { pullsByItself } from "../gitops/engine/pulls.ts";
import { FLEET_CA_KEY } from "../identity/authority.ts";
import type { Profile } from "../inventory/index.ts";
import type { RenderContext } from "./distributions/distribution-plan.ts";
import { secretKeys } from "./distributions/secrets.ts";

/** Keys of every secret that the region's devices need, sorted. */
export function regionSecretKeys(profiles: readonly Profile[]): string[] {
  const servers = joinedServers(profiles);
  const keys = profiles.flatMap((profile) => [
    ...secretKeys(profile, servers.has(profile.id)),
    ...(runsAgent(profile) ? [FLEET_CA_KEY] : []),
  ]);
  return [...new Set(keys)].sort();
}

/** What a device's engine starts from; it is asked of devices alone that run one of edge-fleet's. */
export type EntryOf = (profile: Profile) => readonly object[];

/**
 * @param profiles of one region
 * @param secrets by key, see {@link regionSecretKeys}
 * @param entryOf default: nothing
 * @param gitUrl the fleet's repository. Default: none is asked for
 * @returns a context by device id
 */
export function deviceContexts(
  profiles: readonly Profile[],
  secrets: Readonly<Record<string, string>>,
  entryOf: EntryOf = () => [],
  gitUrl = "",
): Map<string, RenderContext> {
  const byId = new Map(profiles.map((profile) => [profile.id, profile]));
  const agents = Map.groupBy(profiles.filter(isAgent), ({ joins }) => joins);
  return new Map(
    profiles.map((profile) => {
      const { id, joins } = profile;
      const server = joins === undefined ? undefined : byId.get(joins);
      const own = (agents.get(id) ?? []).map((agent) => agent.id).sort();
      const entry = pullsByItself(profile) ? entryOf(profile) : [];
      return [
        id,
        { ...(server === undefined ? {} : { server }), joined: own.length > 0, agents: own, secrets, entry, gitUrl },
      ];
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
