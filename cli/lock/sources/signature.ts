/**
 * Signatures of binaries: from a release's `cosign.pub` and `<binary>.sig` to whether the bytes are signed by the key
 * that the lock file pins. Key-based cosign: ECDSA P-256 over the SHA-256 of the file, the signature DER in base64. Pure.
 * https://docs.sigstore.dev/cosign/key_management/overview/
 */
import { createHash, createPublicKey, createVerify, type KeyObject } from "node:crypto";
import type { LockScalar, SignatureSource } from "../artifact.ts";

/** A public key. */
export interface SigningKey {
  /** Of the PEM file as it is, lower-case hex: what `sha256sum cosign.pub` prints. */
  readonly sha256: string;
  readonly key: KeyObject;
}

/** A key that may be used: what to write with the entry, and what a person has to look at. */
export interface KeyDecision {
  /** Empty where the key is the pinned one. */
  readonly scalars: readonly LockScalar[];
  /** Absent where nothing is to be looked at. */
  readonly note?: string;
}

/**
 * Reads a public key.
 * @param pem bytes of cosign.pub
 * @param url named in errors
 * @throws Error for anything but one ECDSA P-256 public key in PEM
 */
export function parseKey(pem: Buffer, url: string): SigningKey {
  const refuse = (why: string): Error => new Error(`${url}: ${why} - check the base URL`);
  const text = pem.toString("latin1").trim();
  if (!/^-----BEGIN PUBLIC KEY-----\r?\n[A-Za-z0-9+/=\r\n]+-----END PUBLIC KEY-----$/.test(text))
    throw refuse("is no public key in PEM");
  const key = publicKey(text);
  if (key?.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1")
    throw refuse("is no ECDSA P-256 key, which cosign uses");
  return { sha256: createHash("sha256").update(pem).digest("hex"), key };
}

function publicKey(pem: string): KeyObject | undefined {
  try {
    return createPublicKey(pem);
  } catch {
    return undefined;
  }
}

/**
 * Reads a signature.
 * @param text content of the .sig file
 * @param url named in errors
 * @returns DER
 * @throws Error for anything but base64
 */
export function parseSignature(text: string, url: string): Buffer {
  const base64 = text.trim();
  if (!/^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64))
    throw new Error(`${url}: is no signature in base64 - check the base URL`);
  return Buffer.from(base64, "base64");
}

/**
 * Whether a release's key may be used.
 * @param found SHA-256 of the release's key
 * @param acceptChanged the pinned key may be replaced
 * @throws Error naming both keys, where another one is pinned
 */
export function decideKey(found: string, source: SignatureSource, acceptChanged: boolean): KeyDecision {
  const { key: url, pinned, field, signer } = source;
  if (found === pinned) return { scalars: [] };
  if (pinned !== undefined && !acceptChanged)
    throw new Error(
      `${url}: is key ${found}, but ${field} pins ${pinned} - ` +
        `${signer} is signed by another key than before: find out why, then use --accept-changed`,
    );
  const why = pinned === undefined ? "trusted on first use: no key was pinned" : `in place of ${pinned}`;
  const scalars = [{ path: [field], value: found }];
  return {
    scalars,
    note: `${signer} signing key ${found} (${url}), ${why} - compare it with what ${signer} publishes`,
  };
}

/**
 * Whether a file is signed.
 * @param signature DER
 * @param chunks the file
 */
export async function isSigned(
  { key }: SigningKey,
  signature: Buffer,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<boolean> {
  const verify = createVerify("sha256");
  for await (const chunk of chunks) verify.update(chunk);
  return verify.verify({ key, dsaEncoding: "der" }, signature);
}

/**
 * Why the keys of one run cannot be pinned together: the lock file has room for one of a distribution, at its root.
 * @param entries what is to be written, by field
 * @returns undefined when they are one key, or none
 */
export function keyConflict(
  entries: readonly { readonly field: string; readonly scalars: readonly LockScalar[] }[],
): string | undefined {
  const keys = entries.flatMap(({ field, scalars }) =>
    scalars.filter(({ path }) => path.length === 1).map(({ path, value }) => ({ field, value, pin: path[0] })),
  );
  const firstOf = (pin: string | undefined) => keys.find((key) => key.pin === pin);
  const other = keys.find(({ pin, value }) => value !== firstOf(pin)?.value);
  const first = firstOf(other?.pin);
  if (first === undefined || other === undefined) return undefined;
  return (
    `${other.field}: is signed by key ${other.value}, but ${first.field} by ${first.value} - ` +
    "find out why, then lock one release at a time, the second with --accept-changed"
  );
}
