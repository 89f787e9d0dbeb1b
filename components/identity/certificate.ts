/**
 * Makes an X.509 certificate (RFC 5280) as PEM, signed with Ed25519 (RFC 8410) or RSA (RFC 4055, PKCS #1 v1.5). Both
 * signatures follow from key and text alone, so the same input gives the same bytes. Pure.
 */
import { createHash, type KeyObject, sign } from "node:crypto";
import {
  bitString,
  explicit,
  implicit,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  TRUE,
  time,
  unsignedInteger,
  utf8String,
} from "./der.ts";

/** What a certificate may be used for. */
export type Purpose = "authority" | "client" | "server" | "sealing";

/** What a certificate says. */
export interface CertificateContent {
  /** Common name, the only part of the subject: the principal matches the subject as a whole against `^CN=...$`. */
  readonly commonName: string;
  /** Common name of the issuer. */
  readonly issuer: string;
  readonly purpose: Purpose;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** SubjectPublicKeyInfo of the issuer, DER. */
  readonly issuerKey: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** DNS names and IP addresses of a server. Default: none */
  readonly names?: readonly SubjectName[];
}

/** One name of a server. */
export type SubjectName = { readonly dns: string } | { readonly ip: Uint8Array };

const ED25519 = sequence(objectIdentifier("1.3.101.112"));
const RSA_SHA256 = sequence(objectIdentifier("1.2.840.113549.1.1.11"), Buffer.from([0x05, 0x00]));
const COMMON_NAME = objectIdentifier("2.5.4.3");
const EXTENDED_PURPOSE = { client: "1.3.6.1.5.5.7.3.2", server: "1.3.6.1.5.5.7.3.1" } as const;

const SIGNATURE = bitString(Buffer.from([0x80]), 7);

/** Bits of KeyUsage: keyCertSign (5) and cRLSign (6), keyEncipherment (2), or digitalSignature (0). */
const KEY_USAGE: Readonly<Record<Purpose, Buffer>> = {
  authority: bitString(Buffer.from([0x06]), 1),
  sealing: bitString(Buffer.from([0x20]), 5),
  client: SIGNATURE,
  server: SIGNATURE,
};

/** Characters of base64 in a line of PEM. */
const PEM_LINE = 64;

/**
 * Issues a certificate.
 * @param issuerKey private key of the issuer, Ed25519 or RSA
 * @returns its PEM, with a last newline
 */
export function issueCertificate(content: CertificateContent, issuerKey: KeyObject): string {
  const rsa = issuerKey.asymmetricKeyType === "rsa";
  const algorithm = rsa ? RSA_SHA256 : ED25519;
  const signed = sequence(
    explicit(0, unsignedInteger(Buffer.from([2]))),
    unsignedInteger(serialOf(content)),
    algorithm,
    distinguishedName(content.issuer),
    sequence(time(content.notBefore), time(content.notAfter)),
    distinguishedName(content.commonName),
    content.publicKey,
    explicit(3, sequence(...extensionsOf(content))),
  );
  return pemOf(sequence(signed, algorithm, bitString(sign(rsa ? "sha256" : null, signed, issuerKey))));
}

/** Follows from everything that the certificate says, so two that differ have different ones. 127 bits, never 0. */
function serialOf(content: CertificateContent): Buffer {
  const { commonName, issuer, purpose, publicKey, issuerKey, notBefore, notAfter, names = [] } = content;
  const listed = names.map((name) => ("dns" in name ? name.dns : Buffer.from(name.ip).toString("hex")));
  const text = JSON.stringify([commonName, issuer, purpose, notBefore, notAfter, listed]);
  const serial = createHash("sha256").update(publicKey).update(issuerKey).update(text).digest().subarray(0, 16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

function distinguishedName(commonName: string): Buffer {
  return sequence(setOf(sequence(COMMON_NAME, utf8String(commonName))));
}

function extensionsOf({ purpose, publicKey, issuerKey, names = [] }: CertificateContent): Buffer[] {
  const isAuthority = purpose === "authority";
  const constraints = isAuthority ? sequence(TRUE, unsignedInteger(Buffer.from([0]))) : sequence();
  return [
    critical("2.5.29.19", constraints),
    critical("2.5.29.15", KEY_USAGE[purpose]),
    ...(purpose === "authority" || purpose === "sealing"
      ? []
      : [extension("2.5.29.37", sequence(objectIdentifier(EXTENDED_PURPOSE[purpose])))]),
    extension("2.5.29.14", octetString(keyIdentifier(publicKey))),
    extension("2.5.29.35", sequence(implicit(0, keyIdentifier(issuerKey)))),
    ...(names.length === 0 ? [] : [extension("2.5.29.17", sequence(...names.map(generalName)))]),
  ];
}

function extension(identifier: string, value: Uint8Array): Buffer {
  return sequence(objectIdentifier(identifier), octetString(value));
}

function critical(identifier: string, value: Uint8Array): Buffer {
  return sequence(objectIdentifier(identifier), TRUE, octetString(value));
}

function generalName(name: SubjectName): Buffer {
  return "dns" in name ? implicit(2, Buffer.from(name.dns, "latin1")) : implicit(7, name.ip);
}

/** Of 160 bits, as RFC 7093 section 2 makes them from SHA-256, over the whole SubjectPublicKeyInfo. */
function keyIdentifier(publicKey: Uint8Array): Buffer {
  return createHash("sha256").update(publicKey).digest().subarray(0, 20);
}

function pemOf(der: Uint8Array): string {
  const text = Buffer.from(der).toString("base64");
  const lines = text.match(new RegExp(`.{1,${PEM_LINE}}`, "g")) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
