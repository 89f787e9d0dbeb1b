/** Which devices need the same file, named for people. Pure. */
import type { Profile } from "../../../components/inventory/index.ts";

/** Profiles that need the same release on the same architecture. */
export interface Users {
  readonly version: string;
  readonly architecture: Profile["architecture"];
  readonly profiles: readonly Profile[];
}

/** Groups profiles by release and architecture, in this order. */
export function groupUsers(profiles: readonly Profile[], version: (profile: Profile) => string): Users[] {
  const groups = Map.groupBy(profiles, (profile) => `${version(profile)} ${profile.architecture}`);
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, members]) => {
      const [first] = members;
      return first === undefined
        ? []
        : [{ version: version(first), architecture: first.architecture, profiles: members }];
    });
}

/** e.g. `2 devices, e.g. tokyo-0002`. */
export function nameUsers(profiles: readonly Profile[]): string {
  const [first] = profiles;
  if (first === undefined) return "nobody";
  return profiles.length === 1 ? `device ${first.id}` : `${profiles.length} devices, e.g. ${first.id}`;
}
