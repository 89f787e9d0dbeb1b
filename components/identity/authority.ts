/**
 * The fleet's certificate authority: its certificate, and those that it issues. Its private key is a secret of the
 * stacks' configuration. The key is all that there is to keep; it never reaches the hub or a device. Pure.
 */
import { createHash, createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from "node:crypto";
import { type CertificateContent, issueCertificate } from "./certificate.ts";

/** Configuration key of the authority's private key, secret, the same in the stacks of the hub and of every region. */
export const FLEET_CA_KEY = "fleetCaKey";

/** The authority of a fleet. */
export interface FleetAuthority {
  /** Its certificate, PEM: what agents and principals trust. */
  readonly certificate: string;
  /** Issues a certificate under it. */
  issue(content: Omit<CertificateContent, "issuer" | "issuerKey">): string;
  /**
   * 48 bytes that follow from its key and a label, and tell nothing of either (HKDF, RFC 5869): seeds of keys that a run
   * must find again without having kept them.
   */
  derive(label: string): Buffer;
}

/** Valid at all times: an authority ends when its key is replaced. RFC 5280 section 4.1.2.5 names the last instant. */
const VALIDITY = {
  notBefore: new Date("2020-01-01T00:00:00Z"),
  notAfter: new Date("9999-12-31T23:59:59Z"),
} as const;

/** Bytes of a seed: 128 bits more than a P-256 scalar has, so that taking it modulo the order leaves no bias. */
const SEED_BYTES = 48;

/** Line that makes the authority's key. */
const MAKE_KEY = `openssl genpkey -algorithm ed25519 | pulumi config set --secret edge-fleet:${FLEET_CA_KEY}`;

/**
 * Opens the authority.
 * @param key its private key, PKCS #8 PEM of Ed25519; undefined where the stack has none
 * @throws Error naming the configuration key and how to make one; it never shows the key
 */
export function openFleetAuthority(key: string | undefined): FleetAuthority {
  const privateKey = readKey(key);
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const commonName = `edge-fleet ${createHash("sha256").update(publicKey).digest("hex").slice(0, 16)}`;
  const own = { issuer: commonName, issuerKey: publicKey } as const;
  const itself = { commonName, publicKey, purpose: "authority", ...VALIDITY } as const;
  const secret = privateKey.export({ type: "pkcs8", format: "der" });
  return {
    certificate: issueCertificate({ ...itself, ...own }, privateKey),
    issue: (content) => issueCertificate({ ...content, ...own }, privateKey),
    derive: (label) => Buffer.from(hkdfSync("sha256", secret, "edge-fleet", label, SEED_BYTES)),
  };
}

function readKey(key: string | undefined): KeyObject {
  const fix = `make one with ${MAKE_KEY}, and set the same in the stacks of the hub and of every region`;
  if (key === undefined || key.trim() === "")
    throw new Error(`edge-fleet:${FLEET_CA_KEY} is not set, and engine argocd-agent needs it - ${fix}`);
  const parsed = tryParse(key);
  if (parsed?.asymmetricKeyType !== "ed25519")
    throw new Error(`edge-fleet:${FLEET_CA_KEY} is no Ed25519 private key in PEM without a passphrase - ${fix}`);
  return parsed;
}

/** Its own error would show a part of the text. */
function tryParse(key: string): KeyObject | undefined {
  try {
    return createPrivateKey(key);
  } catch {
    return undefined;
  }
}
