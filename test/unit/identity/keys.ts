/** Keys for the tests of certificates: an authority's, and devices' as enrollment records them. */
import { createECDH, generateKeyPairSync } from "node:crypto";

/** A fresh private key of an authority, PEM. */
export function authorityKey(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** The line of OpenSSH for the public key of a P-256 scalar. */
export function identityLine(scalar: Uint8Array): string {
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(scalar);
  const parts = [Buffer.from("ecdsa-sha2-nistp256"), Buffer.from("nistp256"), curve.getPublicKey()].map((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return Buffer.concat([length, part]);
  });
  return `ecdsa-sha2-nistp256 ${Buffer.concat(parts).toString("base64")}`;
}
