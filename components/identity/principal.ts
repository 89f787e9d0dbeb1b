/**
 * The server certificate of a region's principal and its key, which the hub keeps in a Secret. The key follows from the
 * authority's, so that nothing has to be kept to find it again. Pure, without a clock.
 */
import { createECDH, createPrivateKey, createPublicKey } from "node:crypto";
import { isIP } from "node:net";
import type { FleetAuthority } from "./authority.ts";
import type { SubjectName } from "./certificate.ts";
import { validityOf } from "./device.ts";

/** Certificate and private key, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** Which server, and as what agents dial it. */
export interface PrincipalIdentity {
  readonly region: string;
  /** Names and addresses; the first is the subject. */
  readonly addresses: readonly string[];
}

/** Order of P-256 (SEC 2 version 2, section 2.4.2). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/**
 * Issues the certificate of a region's principal.
 * @param generation year of issue, see `issueDeviceCertificate`: another one is another key too
 */
export function issuePrincipalCertificate(
  authority: FleetAuthority,
  { region, addresses }: PrincipalIdentity,
  generation: number,
): KeyPair {
  const key = deriveP256Key(authority.derive(`principal ${region} ${generation}`));
  const publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
  const certificate = authority.issue({
    commonName: `argocd-agent-principal ${region}`,
    purpose: "server",
    publicKey,
    names: addresses.map(subjectName),
    ...validityOf(generation),
  });
  return { certificate, key };
}

/** P-256 as PKCS #8 PEM. @param seed 48 bytes */
function deriveP256Key(seed: Buffer): string {
  const scalar = (BigInt(`0x${seed.toString("hex")}`) % (P256_ORDER - 1n)) + 1n;
  const d = Buffer.from(scalar.toString(16).padStart(64, "0"), "hex");
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(d);
  const point = curve.getPublicKey();
  const jwk = {
    kty: "EC",
    crv: "P-256",
    d: d.toString("base64url"),
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33).toString("base64url"),
  };
  return createPrivateKey({ key: jwk, format: "jwk" }).export({ type: "pkcs8", format: "pem" }).toString();
}

function subjectName(address: string): SubjectName {
  return isIP(address) === 0 ? { dns: address } : { ip: addressBytes(address) };
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  // The URL parser writes the groups out in one way: short, but with at most one `::`.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string | undefined) => (text ? text.split(":") : []);
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array<string>(8 - before.length - after.length).fill("0");
  return Buffer.from([...before, ...zeros, ...after].map((group) => group.padStart(4, "0")).join(""), "hex");
}
