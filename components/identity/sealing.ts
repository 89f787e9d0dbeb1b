/**
 * The keys that SealedSecrets are encrypted for: a fresh pair, and from a certificate and the stack's secret to the pair that
 * belongs together. The certificate lies in the region's lock, so that anybody can seal before a device was ever on line;
 * the private key is a secret of the region's stack, and devices get it with their payload. Pure, but for making one.
 */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { issueCertificate } from "./certificate.ts";

/** Bits of a key: the controller's own default, `--key-size` of Sealed Secrets v0.40.0 (cmd/controller/main.go). */
const KEY_BITS = 4096;

/** Hex digits of a certificate's name: enough to tell a region's few apart. */
const NAME_DIGITS = 12;

/** RFC 5280 section 4.1.2.5: never. `kubeseal` refuses a certificate that has ended, and a key is replaced by another alone. */
const NEVER = new Date("9999-12-31T23:59:59Z");

/** A pair. */
export interface SealingPair {
  /** PEM, self-signed. */
  readonly certificate: string;
  /** Private key, PKCS #8 PEM. */
  readonly key: string;
}

/**
 * Makes a pair.
 * @param owner who opens what is sealed with it, e.g. `tokyo`: in the certificate's subject
 * @param now from when on it is valid: the controller seals with the newest, and opens with any
 */
export function makeSealingPair(owner: string, now: Date): SealingPair {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: KEY_BITS });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const commonName = `sealing key of ${owner}`;
  const content = { commonName, issuer: commonName, purpose: "sealing", publicKey: spki, issuerKey: spki } as const;
  const certificate = issueCertificate({ ...content, notBefore: now, notAfter: NEVER }, privateKey);
  return { certificate, key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/**
 * The public key of a certificate.
 * @throws Error when it is no certificate of an RSA key
 */
export function sealingPublicKey(certificate: string): KeyObject {
  const { publicKey } = new X509Certificate(certificate);
  if (publicKey.asymmetricKeyType !== "rsa") throw new Error("is no certificate of an RSA key");
  return publicKey;
}

/** Name of a certificate's key: of its Secret on devices, and as `sealingKey-<name>` in the stack's configuration. */
export function sealingKeyName(certificate: string): string {
  return createHash("sha256").update(certificate).digest("hex").slice(0, NAME_DIGITS);
}

/** Key of the private key in the stack's configuration, `edge-fleet:<key>`. */
export function sealingSecretKey(certificate: string): string {
  return `sealingKey-${sealingKeyName(certificate)}`;
}

/** Whether a text is the private key of a certificate. */
export function isSealingKey(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}
