/**
 * A sent copy, decrypted on the workstation, as the bytes that a device takes. They are never written to the
 * workstation's disk.
 */
import { readFileSync } from "node:fs";
import { UsageError } from "../exit.ts";
import { captureForeground } from "../process.ts";

/** How a gzip file begins (RFC 1952): the copy has been decrypted already. */
const GZIP = [0x1f, 0x8b];

/**
 * @param file as it was sent (CMS), or decrypted already (tar.gz)
 * @param key PEM file of the private key; openssl asks for its passphrase. Not needed for a decrypted file
 * @throws UsageError when a file cannot be read or the key does not fit
 */
export async function readCopy(file: string, key: string | undefined): Promise<Uint8Array> {
  const bytes = read(file, "--from");
  if (isGzip(bytes)) return bytes;
  if (key === undefined)
    throw new UsageError("--key is missing: the copy is encrypted - give the private key of backup.push.recipient");
  read(key, "--key");
  const args = ["cms", "-decrypt", "-binary", "-inform", "DER", "-in", file, "-inkey", key];
  const { exitCode, stdout } = await captureForeground("openssl", args).catch((error: Error) => {
    throw new UsageError(`openssl cannot be run: ${error.message} - install it`);
  });
  if (exitCode !== 0 || !isGzip(stdout))
    throw new UsageError(
      `${file} cannot be decrypted with ${key} - use the key whose certificate was backup.push.recipient`,
    );
  return stdout;
}

function isGzip(bytes: Uint8Array): boolean {
  return GZIP.every((byte, index) => bytes[index] === byte);
}

function read(file: string, option: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`${option} ${file}: cannot be read: ${(error as Error).message} - correct the path`);
  }
}
