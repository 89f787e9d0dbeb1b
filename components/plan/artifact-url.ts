/** The URL, without credentials, from which a device fetches a locked file: the lock's or its mirror's. Pure. */
import type { Profile } from "../inventory/types.ts";
import type { ResolvedArtifact } from "./artifact.ts";

/** Base for resolving a path beside the lock file the way a URL's path is. */
const BESIDE = "https://beside.invalid/";

/**
 * Where a device fetches a locked file.
 * @param locked the lock's `url`
 * @param beside it is a path beside the lock file
 * @param field its place, for messages
 * @throws Error naming the device and the fix: a URL that is not http(s), or credentials in it
 */
export function artifactUrl(
  locked: string,
  beside: boolean,
  profile: Profile,
  field: string,
): Pick<ResolvedArtifact, "url" | "local"> {
  const { mirror } = profile.artifacts;
  const url = beside ? new URL(locked, BESIDE) : URL.canParse(locked) ? new URL(locked) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new Error(`${field}.url is not an http(s) URL, device ${profile.id} - run edge-fleet lock`);
  if (beside && mirror === undefined) return { url: locked, local: true };
  const target = mirror === undefined ? url : mirrored(url, mirror);
  if (target.username !== "" || target.password !== "") {
    const source = mirror === undefined ? `${field}.url` : "artifacts.mirror";
    throw new Error(
      `device ${profile.id}: ${source} carries credentials - use a mirror without, or artifacts.delivery: push`,
    );
  }
  return { url: target.href.replaceAll("+", "%2B"), local: false };
}

/** Whether a locked `url` is a file beside the lock file: relative, of plain names, never leaving the folder. */
export function isLocalPath(url: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._+-]*(\/[A-Za-z0-9_][A-Za-z0-9._+-]*)+$/.test(url);
}

/** The mirror's path, then the artifact's. */
function mirrored(url: URL, mirror: string): URL {
  const target = new URL(mirror);
  target.pathname = target.pathname.replace(/\/+$/, "") + url.pathname;
  target.search = url.search;
  return target;
}
