/** A private authority of the lab and a server's certificate under it, as PEM texts, by OpenSSL. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A key pair with the authority behind it. */
export interface Certificate {
  /** PEM, of the server and then of the authority. */
  readonly cert: string;
  /** PEM of the private key. */
  readonly key: string;
  /** PEM of the authority. */
  readonly authority: string;
}

const ISSUE = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=Lab authority" \\
  -keyout ca.key -out ca.crt
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=Lab server" -keyout server.key -out server.csr
printf 'subjectAltName=%s\\n' "$1" >extensions
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out server.crt`;

/**
 * Makes an authority and a certificate.
 * @param subjects whom it is for, IPv4 addresses and host names
 * @throws Error where OpenSSL is not installed
 */
export function issueCertificate(...subjects: readonly string[]): Certificate {
  const names = subjects.map((subject) => `${isIP(subject) === 4 ? "IP" : "DNS"}:${subject}`).join();
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-certificate-"));
  try {
    execFileSync("sh", ["-euc", ISSUE, "issue", names], { cwd: directory, stdio: ["ignore", "ignore", "pipe"] });
    const read = (name: string) => readFileSync(join(directory, name), "utf8");
    return { cert: read("server.crt") + read("ca.crt"), key: read("server.key"), authority: read("ca.crt") };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
