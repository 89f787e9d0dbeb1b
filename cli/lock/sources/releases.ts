/**
 * What K3s and K0s have in common: a release with one binary and one image archive per architecture, and a list of
 * hashes that covers both. Pure.
 */
import type { Profile } from "../../../components/inventory/index.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { groupUsers, nameUsers } from "./users.ts";

/** Names of a release's files. */
export interface ReleaseFiles {
  /** The list of hashes. */
  readonly list: string;
  readonly binary: string;
  /** Names of the image archive, best first: releases have named it differently. */
  readonly images: readonly string[];
}

/**
 * Plans a distribution's binaries, and its image archives where devices have `artifacts.images`.
 * @param filesOf names of a release's files
 */
export function planReleases(
  { inventory, profiles, bases }: LockContext,
  project: "k3s" | "k0s",
  filesOf: (version: string, architecture: Profile["architecture"]) => ReleaseFiles,
): UsedArtifact[] {
  const own = profiles.filter(({ distribution }) => distribution === project);
  return groupUsers(own, (profile) => profile[project].version).flatMap(({ version, architecture, profiles }) => {
    const files = filesOf(version, architecture);
    const release = inventory.artifacts[project]?.[version];
    const folder = `${bases[project]}/${encodeURIComponent(version)}`;
    const entry = (keys: readonly string[], names: readonly string[], users: readonly Profile[]): UsedArtifact => {
      const path = [project, version, ...keys];
      const candidates = names.map((name) => ({ name, url: `${folder}/${encodeURIComponent(name)}` }));
      const locked = keys[0] === "images" ? release?.images?.[architecture] : release?.[architecture];
      const hash = { kind: "list", url: `${folder}/${files.list}`, files: candidates } as const;
      const url = candidates[0]?.url ?? folder;
      return { project, path, field: path.join("."), usedBy: nameUsers(users), url, hash, locked };
    };
    const loaded = profiles.filter(({ artifacts }) => artifacts.images);
    const binary = entry([architecture], [files.binary], profiles);
    return loaded.length === 0 ? [binary] : [binary, entry(["images", architecture], files.images, loaded)];
  });
}
