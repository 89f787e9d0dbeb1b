/**
 * What to lock of distributions that are a snap: for each release in use the snap, its assertions and, for devices that
 * reach no store, the snaps that snapd would fetch before it: the base, and snapd's own. Pure: which revision a release
 * is, only the store knows.
 */

import type { ArtifactFile, Profile } from "../../../components/inventory/index.ts";
import type { SnapSource } from "../../../components/plan/distributions/distribution.ts";
import type { LockContext, SnapPart, UsedArtifact } from "../artifact.ts";
import { groupUsers, nameUsers } from "./users.ts";

/** Plans a distribution's snaps. A snap without its assertions, or the reverse, counts as not locked: the two belong together. */
export function planSnaps(
  { inventory, profiles, bases }: LockContext,
  name: Profile["distribution"],
  source: SnapSource,
): UsedArtifact[] {
  const own = profiles.filter(({ distribution }) => distribution === name);
  return groupUsers(own, (profile) => profile[name].version).flatMap(({ version, architecture, profiles }) => {
    const entry = source.locked(inventory.artifacts, version, architecture);
    const pair = (
      keys: readonly [string, string],
      locked: readonly [ArtifactFile | undefined, ArtifactFile | undefined],
      usedBy: string,
      snap: Pick<SnapPart, "name" | "version" | "pick">,
    ): UsedArtifact[] => {
      const complete = locked[0] !== undefined && locked[1] !== undefined;
      return (["snap", "assertions"] as const).map((part, index): UsedArtifact => {
        const path = [name, version, architecture, keys[index] ?? part];
        const hash = { kind: "snap", snap: { ...snap, architecture, part } } as const;
        const url = `${bases.snap}/v2/snaps/info/${snap.name}`;
        const field = path.join(".");
        return { project: "snap", path, field, usedBy, url, hash, locked: complete ? locked[index] : undefined };
      });
    };
    const main = { name, version, pick: "release" } as const;
    const snaps = pair(["snap", "assertions"], [entry?.snap, entry?.assertions], nameUsers(profiles), main);
    const storeless = profiles.filter(source.storeless);
    if (storeless.length === 0) return snaps;
    const users = nameUsers(storeless);
    const base = { ...main, pick: "base" } as const;
    const snapd = { ...main, name: "snapd", pick: "stable" } as const;
    return [
      ...snaps,
      ...pair(["base", "baseAssertions"], [entry?.base, entry?.baseAssertions], users, base),
      ...pair(["snapd", "snapdAssertions"], [entry?.snapd, entry?.snapdAssertions], users, snapd),
    ];
  });
}
