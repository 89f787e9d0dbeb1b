/** A key pair as `cosign generate-key-pair` makes one, and what it signs as `cosign sign-blob --key` does. */
import { createHash, generateKeyPairSync, sign } from "node:crypto";

/** @returns the public key in PEM, its SHA-256, and base64 signatures */
export function signingKey(namedCurve = "P-256") {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve });
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
  return {
    pem,
    sha256: createHash("sha256").update(pem).digest("hex"),
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    sign: (text: string): string => sign("sha256", Buffer.from(text), privateKey).toString("base64"),
  };
}
