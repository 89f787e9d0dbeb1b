/** What a lock says of a file of the tests. */
import { createHash } from "node:crypto";

/** SHA-256 in hex. */
export const sha256 = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex");

/**
 * An artifact as a lock names it.
 * @param url default: where nothing answers, for artifacts that are pushed
 */
export function locked(content: string | Uint8Array, url = `http://127.0.0.1:9/${sha256(content)}`) {
  return { url, sha256: sha256(content), size: content.length };
}
