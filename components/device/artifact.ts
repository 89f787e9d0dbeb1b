/**
 * From a profile and the artifacts lock to the one binary that the device needs: where it comes from, what it must hash
 * to, and where the device stores it.
 */
import type { ArtifactsLock } from "../inventory/schema.ts";
import type { Profile } from "../inventory/types.ts";

/** A binary, resolved for one device. */
export interface ResolvedArtifact {
  /** http(s) URL, mirror applied. */
  readonly url: string;
  /** SHA-256 in lower-case hex, from the lock. */
  readonly sha256: string;
  /** Bytes, where the lock tells. */
  readonly size?: number;
  readonly delivery: "fetch" | "push";
  /** Path on the device where `edge-fleet push` puts it and the apply script looks for it. */
  readonly storePath: string;
}

/** Content-addressed store of a device. */
export const ARTIFACT_STORE = "/var/lib/edge-fleet/artifacts";

/**
 * Resolves the distribution's binary.
 * @throws Error naming artifacts.lock.yaml, the field, the device and the mend: version or architecture not locked, URL
 * not http(s), or credentials in it (it would show in the device's process list)
 */
export function resolveArtifact(profile: Profile, lock: ArtifactsLock): ResolvedArtifact {
  const { version } = profile.k3s;
  const field = `artifacts.lock.yaml: k3s.${version}.${profile.architecture}`;
  const locked = lock.k3s?.[version]?.[profile.architecture];
  if (locked === undefined) {
    throw new Error(`${field} is missing, device ${profile.id} needs it - run edge-fleet lock`);
  }
  return {
    url: artifactUrl(locked.url, profile, field),
    sha256: locked.sha256,
    ...(locked.size === undefined ? {} : { size: locked.size }),
    delivery: profile.artifacts.delivery,
    storePath: `${ARTIFACT_STORE}/${locked.sha256}`,
  };
}

function artifactUrl(locked: string, profile: Profile, field: string): string {
  const url = URL.canParse(locked) ? new URL(locked) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new Error(`${field}.url is not an http(s) URL, device ${profile.id} - run edge-fleet lock`);
  }
  const { mirror } = profile.artifacts;
  const target = mirror === undefined ? url : new URL(url.pathname + url.search, mirror);
  if (mirror !== undefined) {
    target.pathname = new URL(mirror).pathname.replace(/\/+$/, "") + url.pathname;
  }
  if (target.username !== "" || target.password !== "" || (mirror !== undefined && new URL(mirror).username !== "")) {
    const source = mirror === undefined ? `${field}.url` : "artifacts.mirror";
    throw new Error(
      `device ${profile.id}: ${source} carries credentials - use a mirror without, or artifacts.delivery: push`,
    );
  }
  return target.href.replaceAll("+", "%2B");
}
