/**
 * One value as Sealed Secrets encrypts it: AES-256-GCM under a key of its own, and that key under RSA-OAEP (SHA-256), bound to
 * where the Secret is to be. pkg/crypto/crypto.go, HybridEncrypt, of Sealed Secrets v0.40.0.
 */
import { constants, createCipheriv, type KeyObject, publicEncrypt, randomBytes } from "node:crypto";

const SESSION_KEY_BYTES = 32;

/** Zero: the key is used once. */
const NONCE = Buffer.alloc(12);

/**
 * Encrypts.
 * @param publicKey RSA
 * @param label what the controller must find to decrypt it; empty: nothing
 * @returns length of the encrypted key (2 bytes, big-endian), the encrypted key, the encrypted value with its tag
 */
export function encryptValue(publicKey: KeyObject, value: Uint8Array, label: string): Buffer {
  const sessionKey = randomBytes(SESSION_KEY_BYTES);
  const encryptedKey = publicEncrypt(
    { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256", oaepLabel: Buffer.from(label) },
    sessionKey,
  );
  const cipher = createCipheriv("aes-256-gcm", sessionKey, NONCE);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(encryptedKey.length);
  return Buffer.concat([length, encryptedKey, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
}
