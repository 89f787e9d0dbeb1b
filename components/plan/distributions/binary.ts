/** The locked binary of a distribution and the archive of its images, for a device. Pure. */
import type { ArtifactsLock } from "../../inventory/schema.ts";
import type { Profile } from "../../inventory/types.ts";
import type { BinarySource, LockedArtifact } from "./distribution.ts";

/** Endings by which a distribution tells how an image archive is packed. */
const IMAGE_ENDINGS = /\.tar(\.gz|\.zst|\.lz4|\.bz2)?$/;

/**
 * What the lock has to hold: the binary, and with `artifacts.images` the archive. The archive has one name for every release,
 * so that an upgrade replaces it instead of adding a second one.
 * @param folder from which the distribution imports images before its first start
 */
export function lockedBinary(
  profile: Profile,
  lock: ArtifactsLock,
  source: BinarySource,
  folder: string,
): LockedArtifact[] {
  const { distribution, architecture, artifacts } = profile;
  const { version } = profile[distribution];
  const locked = source.locked(lock, version);
  const field = `${distribution}.${version}`;
  const binary: LockedArtifact = {
    field: `${field}.${architecture}`,
    locked: locked?.[architecture],
    name: distribution,
    kind: "binary",
    installPath: `/usr/local/bin/${distribution}`,
    mode: "0755",
  };
  if (!artifacts.images) return [binary];
  const images = locked?.images?.[architecture];
  const ending = IMAGE_ENDINGS.exec((images?.url ?? "").replace(/[?#].*$/, ""))?.[0] ?? ".tar";
  return [
    binary,
    {
      field: `${field}.images.${architecture}`,
      locked: images,
      name: `${distribution}-images`,
      kind: "images",
      installPath: `${folder}/edge-fleet${ending}`,
      mode: "0644",
    },
  ];
}
