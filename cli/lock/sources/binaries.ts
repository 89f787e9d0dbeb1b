/**
 * What to lock of distributions that are a binary: for each release in use the binary and the image archive of each
 * architecture, and the list of hashes that covers both. A binary may be signed; an archive has a hash alone. Pure.
 */
import type { ArtifactsLock, Profile } from "../../../components/inventory/index.ts";
import type { BinarySource } from "../../../components/plan/distributions/distribution.ts";
import type { HashSource, LockContext, UsedArtifact } from "../artifact.ts";
import { groupUsers, nameUsers } from "./users.ts";

/** Plans a distribution's binaries, and its image archives where devices have `artifacts.images`. */
export function planBinaries(
  { inventory, profiles, bases }: LockContext,
  project: Profile["distribution"],
  source: BinarySource,
): UsedArtifact[] {
  const own = profiles.filter(({ distribution }) => distribution === project);
  return groupUsers(own, (profile) => profile[project].version).flatMap(({ version, architecture, profiles }) => {
    const files = source.files(version, architecture);
    const release = source.locked(inventory.artifacts, version);
    const folder = `${bases[project] ?? source.base}/${encodeURIComponent(version)}`;
    const entry = (keys: readonly string[], names: readonly string[], users: readonly Profile[]): UsedArtifact => {
      const path = [project, version, ...keys];
      const candidates = names.map((name) => ({ name, url: `${folder}/${encodeURIComponent(name)}` }));
      const locked = keys[0] === "images" ? release?.images?.[architecture] : release?.[architecture];
      const hash: HashSource = { kind: "list", url: `${folder}/${files.list}`, files: candidates };
      const url = candidates[0]?.url ?? folder;
      return { project, path, field: path.join("."), usedBy: nameUsers(users), url, hash, locked };
    };
    const loaded = profiles.filter(({ artifacts }) => artifacts.images);
    const binary = signed(entry([architecture], [files.binary], profiles), folder, source, inventory.artifacts);
    return loaded.length === 0 ? [binary] : [binary, entry(["images", architecture], files.images, loaded)];
  });
}

function signed(used: UsedArtifact, folder: string, { signature }: BinarySource, lock: ArtifactsLock): UsedArtifact {
  if (signature === undefined || used.hash.kind !== "list") return used;
  const { file, field, signer } = signature;
  return {
    ...used,
    hash: { ...used.hash, signature: { key: `${folder}/${file}`, pinned: lock[field], field, signer } },
  };
}
