/**
 * The certificate of a device over the public key that enrollment recorded, by which its agent is the device on the
 * hub, and which certificates the hub must refuse. Pure, without a clock.
 */
import { createHash, createPublicKey } from "node:crypto";
import type { FleetAuthority } from "./authority.ts";

/** What a certificate is made from. */
export interface DeviceIdentity {
  readonly id: string;
  /** Line of OpenSSH: `ecdsa-sha2-nistp256 <base64>`, as `<region>.lock.yaml` has it. */
  readonly identityKey: string;
}

/**
 * How long a certificate of one generation is valid. A generation is a year; it begins a year before, so that next year's
 * can be sent out early, and ends three whole years after, so that a device may be off for two of them and one is left.
 */
const YEARS = { before: 1, after: 4 } as const;

/** Point on P-256: SubjectPublicKeyInfo up to the point (RFC 5480), which is 65 bytes. */
const P256_PREFIX = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex");
const P256_POINT_BYTES = 65;

/**
 * Issues the certificate of a device: subject exactly `CN=<id>`, the same bytes for the same input.
 * @param generation year of issue: another one is another certificate over the same key
 * @throws Error naming the device and the fix when its identity key is no point on P-256
 */
export function issueDeviceCertificate(
  authority: FleetAuthority,
  { id, identityKey }: DeviceIdentity,
  generation: number,
): string {
  return authority.issue({
    commonName: id,
    purpose: "client",
    publicKey: subjectPublicKey(id, identityKey),
    ...validityOf(generation),
  });
}

/** When certificates of a generation are valid. */
export function validityOf(generation: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: newYear(generation - YEARS.before), notAfter: newYear(generation + YEARS.after) };
}

/** From when on a generation is to be followed by the next: half a year ahead of the middle of its life. */
export function renewalDue(generation: number): Date {
  return newYear(generation + 1);
}

function newYear(year: number): Date {
  return new Date(Date.UTC(year, 0, 1));
}

/**
 * Fingerprints of every certificate of a device that may still be valid: those of the generation and of the years before
 * it. They are the keys of the principal's blocklist, SHA-256 in upper-case hex
 * (argocd-agent acb60cd1, internal/tlsutil/tlsutil.go: CertificateFingerprint).
 * @param newest newest generation that was ever issued
 * @throws as {@link issueDeviceCertificate}
 */
export function deviceFingerprints(authority: FleetAuthority, identity: DeviceIdentity, newest: number): string[] {
  const years = Array.from({ length: YEARS.before + YEARS.after }, (_, age) => newest - age);
  return years.map((generation) => fingerprintOf(issueDeviceCertificate(authority, identity, generation)));
}

function fingerprintOf(certificate: string): string {
  const der = Buffer.from(certificate.replace(/-----[^-]+-----/g, ""), "base64");
  return createHash("sha256").update(der).digest("hex").toUpperCase();
}

/** Whether a line of OpenSSH is one that a certificate can be issued for. */
export function isIdentityKey(identityKey: string): boolean {
  return decodeIdentityKey(identityKey) !== undefined;
}

function subjectPublicKey(id: string, identityKey: string): Buffer {
  const key = decodeIdentityKey(identityKey);
  if (key !== undefined) return key;
  throw new Error(`device ${id}: its identityKey is no ECDSA P-256 key - enroll it again, which records its own`);
}

/** DER of the key in OpenSSH's line (RFC 5656 section 3.1: type, curve, point, each behind its length). */
function decodeIdentityKey(identityKey: string): Buffer | undefined {
  const [type = "", text = ""] = identityKey.split(" ");
  const blob = Buffer.from(text, "base64");
  const header = Buffer.concat(["ecdsa-sha2-nistp256", "nistp256"].map(lengthAndText));
  const point = blob.subarray(header.length + 4);
  const known =
    type === "ecdsa-sha2-nistp256" &&
    blob.subarray(0, header.length).equals(header) &&
    blob.length === header.length + 4 + P256_POINT_BYTES &&
    blob.readUInt32BE(header.length) === P256_POINT_BYTES;
  const key = Buffer.concat([P256_PREFIX, point]);
  return known && isKey(key) ? key : undefined;
}

function lengthAndText(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
}

function isKey(spki: Buffer): boolean {
  try {
    createPublicKey({ key: spki, type: "spki", format: "der" });
    return true;
  } catch {
    return false;
  }
}
