/**
 * Archives of the pull engines' images, one for each image and architecture of devices that take images without a registry. Nobody publishes them: the workstation makes them of what the registry has. Pure.
 */
import type { ArtifactsLock, Profile } from "../../../components/inventory/index.ts";
import { distributionOf } from "../../../components/plan/distributions/index.ts";
import { engineImages, getsImageArchives } from "../../../components/plan/engine-images.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { imageArchivePath } from "../image-archive.ts";
import { nameUsers } from "./users.ts";

/** Plans the archives of images that are locked. @param lock what the lock file says of images */
export function planImageArchives(profiles: LockContext["profiles"], lock: ArtifactsLock): UsedArtifact[] {
  const offline = profiles.filter((profile) => getsImageArchives(profile, distributionOf(profile)));
  const users = offline.flatMap((profile) =>
    engineImages(profile, lock).flatMap(({ reference }) => (reference === undefined ? [] : [{ reference, profile }])),
  );
  return [...Map.groupBy(users, ({ reference, profile }) => `${reference} ${profile.architecture}`)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, members]) => planArchive(members, lock));
}

function planArchive(
  members: readonly { readonly reference: string; readonly profile: Profile }[],
  lock: ArtifactsLock,
): UsedArtifact[] {
  const [first] = members;
  if (first === undefined) return [];
  const { reference, profile } = first;
  const image = { reference, architecture: profile.architecture };
  const path = ["imageArchives", reference, profile.architecture];
  return [
    {
      project: "registry",
      path,
      field: path.join("."),
      usedBy: nameUsers(members.map((member) => member.profile)),
      url: imageArchivePath(image),
      hash: { kind: "image-archive", image },
      locked: lock.imageArchives?.[reference]?.[profile.architecture],
    },
  ];
}
