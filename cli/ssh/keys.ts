/**
 * SSH public keys and known_hosts files: from a key to its fingerprint, from pinned keys to the file that `ssh` checks
 * against, and from the file that `ssh` wrote back to the key.
 */
import { createHash } from "node:crypto";

const KEY_TYPE = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+)$/;

/**
 * Fingerprint as `ssh-keygen -l` prints it: `SHA256:` and the unpadded base64 of the key's hash.
 * @param publicKey `<type> <base64>`
 * @throws Error when there is no key blob
 */
export function fingerprintOf(publicKey: string): string {
  const blob = publicKey.split(" ")[1];
  if (blob === undefined || blob === "") throw new Error("not an OpenSSH public key - write `<type> <base64>`");
  return `SHA256:${createHash("sha256").update(Buffer.from(blob, "base64")).digest("base64").replace(/=+$/, "")}`;
}

/**
 * A known_hosts file with pinned keys.
 * @param keys `<type> <base64>` by the name that ssh looks up (see `HostKeyAlias`)
 */
export function knownHostsText(keys: ReadonlyMap<string, string>): string {
  return [...keys].map(([name, key]) => `${name} ${key}\n`).join("");
}

/**
 * The first key in a known_hosts file that holds one host, whatever form its name has (`host`, `[host]:port`, hashed).
 * @returns `<type> <base64>`, or `undefined` when ssh never got as far as the host key
 */
export function firstKnownKey(text: string): string | undefined {
  for (const line of text.split("\n")) {
    if (line.startsWith("#") || line.startsWith("@")) continue;
    const [, type = "", blob = ""] = line.trim().split(/\s+/);
    if (KEY_TYPE.test(type) && /^[A-Za-z0-9+/]+={0,2}$/.test(blob)) return `${type} ${blob}`;
  }
  return undefined;
}

/** Signature algorithms by key type; ssh-rsa keys sign with SHA-2 only (RFC 8332). */
const ALGORITHMS: readonly (readonly [string, readonly string[]])[] = [
  ["ssh-ed25519", ["ssh-ed25519"]],
  ["ecdsa-sha2-nistp256", ["ecdsa-sha2-nistp256"]],
  ["ecdsa-sha2-nistp384", ["ecdsa-sha2-nistp384"]],
  ["ecdsa-sha2-nistp521", ["ecdsa-sha2-nistp521"]],
  ["ssh-rsa", ["rsa-sha2-512", "rsa-sha2-256"]],
];

/**
 * Value of `HostKeyAlgorithms`: Ed25519 first; for a pinned key its own type first, so that a device with several host
 * keys answers with the pinned one.
 */
export function hostKeyAlgorithms(pinned: string | undefined): string {
  const type = pinned?.split(" ")[0];
  const first = ALGORITHMS.filter(([name]) => name === type);
  const others = ALGORITHMS.filter(([name]) => name !== type);
  return [...first, ...others].flatMap(([, algorithms]) => algorithms).join(",");
}
