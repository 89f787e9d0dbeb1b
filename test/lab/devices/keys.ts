/**
 * Makes SSH keys for the lab, Ed25519 key pairs in OpenSSH's formats. Written here because `ssh-keygen` costs a process
 * a key and Node.js exports no OpenSSH format. Source: PROTOCOL.key of OpenSSH (openssh-key-v1).
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";

const TYPE = "ssh-ed25519";
const BLOCK = 8;

/** A key pair in OpenSSH's formats. */
export interface SshKeyPair {
  /** PEM text of type OPENSSH PRIVATE KEY, not encrypted; for files of mode 0600. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA…` without a comment and without a newline. */
  readonly publicKey: string;
}

/** Makes a new Ed25519 key pair. */
export function generateSshKey(): SshKeyPair {
  const { x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  if (x === undefined || d === undefined) throw new Error("lab: node:crypto exported an Ed25519 key without x or d");
  const point = Buffer.from(x, "base64url");
  const seed = Buffer.from(d, "base64url");
  const publicBlob = Buffer.concat([field(TYPE), field(point)]);
  return {
    privateKey: encodePrivateKey(publicBlob, point, seed),
    publicKey: `${TYPE} ${publicBlob.toString("base64")}`,
  };
}

function encodePrivateKey(publicBlob: Buffer, point: Buffer, seed: Buffer): string {
  const check = randomBytes(4);
  const secret = [check, check, publicBlob, field(Buffer.concat([seed, point])), field("")];
  const unpadded = Buffer.concat(secret);
  const padding = Buffer.from(Array.from({ length: (BLOCK - (unpadded.length % BLOCK)) % BLOCK }, (_, i) => i + 1));
  const body = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    ...[field("none"), field("none"), field(""), uint32(1)],
    ...[field(publicBlob), field(Buffer.concat([unpadded, padding]))],
  ]);
  const lines = body.toString("base64").match(/.{1,70}/g) ?? [];
  return ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n");
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
