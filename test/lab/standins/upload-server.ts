/**
 * A place for uploads over HTTPS with certificates of its own, as an operator would run one, and the key pair that reads
 * what devices send. Records every request; answers what a test says.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One request as it came. */
export interface Upload {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A key pair with a self-signed certificate. */
export interface KeyPair {
  /** PEM certificate. */
  readonly certificate: string;
  /** PEM private key. */
  readonly key: string;
}

/** Makes a key pair with openssl. @param options arguments of `openssl req`, e.g. `-newkey rsa:2048` */
export function makeKeyPair(...options: readonly string[]): KeyPair {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-keys-"));
  try {
    const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "certificate.pem")];
    const { status, stderr } = spawnSync("openssl", ["req", "-x509", "-nodes", "-days", "400", ...options, ...files]);
    assert.equal(status, 0, String(stderr));
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    return { certificate: read("certificate.pem"), key: read("key.pem") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An EC key pair that copies are encrypted for. */
export const makeRecipient = (...options: readonly string[]): KeyPair =>
  makeKeyPair("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=backups", ...options);

/** Decrypts what was sent, as docs/operations.md says. @returns a tar.gz */
export function decrypt(body: Uint8Array, key: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-decrypt-"));
  try {
    writeFileSync(join(folder, "key.pem"), key, { mode: 0o600 });
    const args = ["cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", join(folder, "key.pem")];
    const { status, stdout, stderr } = spawnSync("openssl", args, { input: body, maxBuffer: 1 << 28 });
    assert.equal(status, 0, String(stderr));
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The server, on a port of 127.0.0.1. */
export class UploadServer {
  /** Certificate that a client has to trust. */
  readonly certificate: string;
  /** Every request so far. */
  readonly uploads: Upload[] = [];
  /** Status of the next answers. Default 201. */
  status = 201;
  /** Headers of the next answers. */
  headers: Readonly<Record<string, string>> = {};
  readonly #server: Server;
  #port = 0;

  constructor() {
    const { certificate, key } = makeKeyPair(
      ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
    );
    this.certificate = certificate;
    this.#server = createServer({ cert: certificate, key }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const { method = "", url: path = "", headers } = request;
        this.uploads.push({ method, path, headers, body: Buffer.concat(chunks) });
        response.writeHead(this.status, this.headers).end();
      });
    });
  }

  /** Starts to listen, the second time on the port of the first. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Stops to listen: connections are refused. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** `https://127.0.0.1:<port>` */
  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }
}
