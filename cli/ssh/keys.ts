/** The fingerprint of an SSH public key, and the key in a known_hosts file that `ssh` wrote. */
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
