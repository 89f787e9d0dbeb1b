import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import fc from "fast-check";
import { openFleetAuthority } from "../../../components/identity/authority.ts";
import {
  deviceFingerprints,
  issueDeviceCertificate,
  renewalDue,
  validityOf,
} from "../../../components/identity/device.ts";
import { issuePrincipalCertificate } from "../../../components/identity/principal.ts";
import { authorityKey, identityLine } from "./keys.ts";

const KEY = authorityKey();
const AUTHORITY = openFleetAuthority(KEY);
const ROOT = new X509Certificate(AUTHORITY.certificate);

const ids = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$/);
const generations = fc.integer({ min: 2024, max: 2090 });
/** Scalars below the order of P-256, whose first byte is 0xff. */
const scalars = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter((bytes) => bytes[0] !== 0xff && bytes[0] !== 0);
const hosts = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.domain().map((name) => name.toLowerCase()),
);

/** What openssl says, in one call for several certificates or one with standard input. */
function openssl(args: readonly string[], input = ""): string {
  const { status, stdout, stderr } = spawnSync("openssl", args, { encoding: "utf8", input });
  assert.equal(status, 0, `openssl ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

test("a device's certificate has its id as the whole subject, its key, its years and no right but that of a client", () => {
  fc.assert(
    fc.property(ids, scalars, generations, (id, scalar, generation) => {
      const identityKey = identityLine(scalar);
      const certificate = new X509Certificate(issueDeviceCertificate(AUTHORITY, { id, identityKey }, generation));
      assert.equal(certificate.subject, `CN=${id}`);
      assert.equal(certificate.issuer, ROOT.subject);
      assert.ok(certificate.checkIssued(ROOT));
      assert.ok(certificate.verify(ROOT.publicKey));
      assert.equal(certificate.ca, false);
      assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
      assert.equal(certificate.subjectAltName, undefined);
      const { notBefore, notAfter } = validityOf(generation);
      assert.deepEqual([certificate.validFromDate, certificate.validToDate], [notBefore, notAfter]);
      const jwk = certificate.publicKey.export({ format: "jwk" });
      const point = Buffer.concat([jwk.x ?? "", jwk.y ?? ""].map((part) => Buffer.from(part, "base64url")));
      assert.ok(
        Buffer.from(identityKey.split(" ")[1] ?? "", "base64")
          .subarray(-64)
          .equals(point),
      );
    }),
    { numRuns: 200 },
  );
});

test("openssl takes every certificate, and verifies it under the authority for its purpose alone", () => {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-identity-"));
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, AUTHORITY.certificate);
  assert.match(openssl(["verify", "-x509_strict", "-check_ss_sig", "-CAfile", ca, ca]), /: OK/);
  fc.assert(
    fc.property(
      ids,
      scalars,
      generations,
      fc.array(hosts, { minLength: 1, maxLength: 4 }),
      (id, scalar, year, names) => {
        const client = join(folder, "client.pem");
        const server = join(folder, "server.pem");
        writeFileSync(client, issueDeviceCertificate(AUTHORITY, { id, identityKey: identityLine(scalar) }, year));
        const principal = { region: "tokyo", addresses: names };
        writeFileSync(server, issuePrincipalCertificate(AUTHORITY, principal, year).certificate);
        const at = String(Date.UTC(year, 6, 1) / 1000);
        const verify = ["verify", "-x509_strict", "-attime", at, "-CAfile", ca, "-purpose"];
        openssl([...verify, "sslclient", client]);
        openssl([...verify, "sslserver", server]);
        for (const [purpose, file] of [
          ["sslserver", client],
          ["sslclient", server],
        ] as const)
          assert.notEqual(spawnSync("openssl", [...verify, purpose, file]).status, 0);
        const subject = openssl(["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", client]);
        assert.equal(subject.trim(), `subject=CN=${id}`);
      },
    ),
    { numRuns: 15 },
  );
});

test("the authority is one that signs leaves alone", () => {
  assert.ok(ROOT.ca);
  assert.ok(ROOT.verify(ROOT.publicKey));
  const text = openssl(["x509", "-noout", "-text"], AUTHORITY.certificate);
  assert.match(text, /Basic Constraints: critical\n\s+CA:TRUE, pathlen:0/);
  assert.match(text, /Key Usage: critical\n\s+Certificate Sign, CRL Sign/);
  assert.match(text, /Public Key Algorithm: ED25519/);
});

test("the same input gives the same bytes, and every input counts", () => {
  const device = { id: "tokyo-0001", identityKey: identityLine(Buffer.alloc(32, 1)) };
  const made = issueDeviceCertificate(AUTHORITY, device, 2026);
  assert.equal(issueDeviceCertificate(openFleetAuthority(KEY), { ...device }, 2026), made);
  const others = [
    issueDeviceCertificate(AUTHORITY, { ...device, id: "tokyo-0002" }, 2026),
    issueDeviceCertificate(AUTHORITY, { ...device, identityKey: identityLine(Buffer.alloc(32, 2)) }, 2026),
    issueDeviceCertificate(AUTHORITY, device, 2027),
    issueDeviceCertificate(openFleetAuthority(authorityKey()), device, 2026),
  ];
  const serials = [made, ...others].map((certificate) => new X509Certificate(certificate).serialNumber);
  assert.equal(new Set(serials).size, 5);
  const principal = { region: "tokyo", addresses: ["hub.example.com"] };
  assert.deepEqual(issuePrincipalCertificate(AUTHORITY, principal, 2026), {
    ...issuePrincipalCertificate(openFleetAuthority(KEY), principal, 2026),
  });
});

test("a principal's certificate is for the addresses that agents dial, and its key is its own", () => {
  fc.assert(
    fc.property(fc.array(hosts, { minLength: 1, maxLength: 5 }), generations, (addresses, year) => {
      const pair = issuePrincipalCertificate(AUTHORITY, { region: "tokyo", addresses }, year);
      const certificate = new X509Certificate(pair.certificate);
      assert.ok(certificate.verify(ROOT.publicKey));
      assert.ok(certificate.checkPrivateKey(createPrivateKey(pair.key)));
      for (const address of addresses) {
        const found = isIP(address) === 0 ? certificate.checkHost(address) : certificate.checkIP(address);
        assert.ok(found, `${address}: ${certificate.subjectAltName}`);
      }
      assert.equal(certificate.checkHost("other.example.com"), undefined);
    }),
  );
});

test("no two principals and no two generations share a key, and none is the authority's", () => {
  const keys = ["tokyo", "osaka"].flatMap((region) =>
    [2026, 2027].map(
      (year) => issuePrincipalCertificate(AUTHORITY, { region, addresses: ["h.example.com"] }, year).key,
    ),
  );
  assert.equal(new Set([...keys, KEY]).size, 5);
});

test("a certificate is renewed ahead of the middle of its life, with two years and one to spare", () => {
  fc.assert(
    fc.property(generations, (generation) => {
      const { notBefore, notAfter } = validityOf(generation);
      const due = renewalDue(generation).getTime();
      assert.ok(due < (notBefore.getTime() + notAfter.getTime()) / 2);
      assert.ok(notAfter.getTime() - due >= 3 * 365 * 86_400_000);
      assert.ok(validityOf(generation + 1).notBefore < renewalDue(generation));
    }),
  );
});

test("the blocklist has every certificate of a device that may still be valid, by openssl's fingerprint", () => {
  const device = { id: "tokyo-0001", identityKey: identityLine(Buffer.alloc(32, 7)) };
  const blocked = deviceFingerprints(AUTHORITY, device, 2028);
  const valid = Array.from({ length: 30 }, (_, index) => 2010 + index).filter(
    (year) => year <= 2028 && validityOf(year).notAfter > validityOf(2028).notBefore,
  );
  const fingerprints = valid.map((year) => {
    const text = openssl(
      ["x509", "-noout", "-fingerprint", "-sha256"],
      issueDeviceCertificate(AUTHORITY, device, year),
    );
    return text.trim().split("=")[1]?.replaceAll(":", "");
  });
  assert.deepEqual([...blocked].sort(), [...fingerprints].sort());
  for (const fingerprint of blocked) assert.match(fingerprint, /^[0-9A-F]{64}$/);
});

test("an agent and a principal of the fleet take each other by TLS 1.3, and nobody else", async () => {
  const device = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const pair = issuePrincipalCertificate(AUTHORITY, { region: "tokyo", addresses: ["127.0.0.1"] }, 2026);
  const stranger = openFleetAuthority(authorityKey());
  const scalar = Buffer.from(device.privateKey.export({ format: "jwk" }).d ?? "", "base64url");
  const identity = { id: "tokyo-0001", identityKey: identityLine(scalar) };
  const key = device.privateKey.export({ type: "pkcs8", format: "pem" });
  const seen: string[] = [];
  const server = createServer(
    { cert: pair.certificate, key: pair.key, ca: AUTHORITY.certificate, requestCert: true, minVersion: "TLSv1.3" },
    (socket) => {
      seen.push(String(socket.getPeerCertificate().subject.CN));
      socket.end("in");
    },
  ).on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const dial = (certificate: string, ca: string) =>
    new Promise<string>((resolve) => {
      const socket: TLSSocket = connect({ host: "127.0.0.1", port, cert: certificate, key, ca });
      socket.once("data", (data) => resolve(String(data))).once("error", () => resolve("refused"));
      socket.once("close", () => resolve("refused"));
    });
  const own = issueDeviceCertificate(AUTHORITY, identity, 2026);
  assert.equal(await dial(own, AUTHORITY.certificate), "in");
  assert.equal(await dial(issueDeviceCertificate(stranger, identity, 2026), AUTHORITY.certificate), "refused");
  assert.equal(await dial(own, stranger.certificate), "refused");
  assert.deepEqual(seen, ["tokyo-0001"]);
  server.close();
});

for (const [what, identityKey] of [
  ["another type", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH"],
  ["another curve", identityLine(Buffer.alloc(32, 3)).replace("nistp256 ", "nistp384 ")],
  ["no point of the curve", `${identityLine(Buffer.alloc(32, 3)).slice(0, -8)}AAAAAAA=`],
  ["cut off", identityLine(Buffer.alloc(32, 3)).slice(0, -20)],
] as const)
  test(`an identity key that is ${what} is refused by device and fix`, () => {
    assert.throws(() => issueDeviceCertificate(AUTHORITY, { id: "tokyo-0001", identityKey }, 2026), {
      message: "device tokyo-0001: its identityKey is no ECDSA P-256 key - enroll it again, which records its own",
    });
  });

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });
for (const [what, key, problem] of [
  ["missing", undefined, /^edge-fleet:fleetCaKey is not set, and engine argocd-agent needs it - make one with openssl/],
  ["no key", "secret words", /^edge-fleet:fleetCaKey is no Ed25519 private key in PEM/],
  ["an RSA key", RSA.toString(), /^edge-fleet:fleetCaKey is no Ed25519 private key in PEM/],
  ["a public key", createPublicKey(KEY).export({ type: "spki", format: "pem" }).toString(), /no Ed25519 private key/],
] as const)
  test(`an authority's key that is ${what} is refused with the line that makes one, and is not shown`, () => {
    assert.throws(
      () => openFleetAuthority(key),
      (error: Error) => {
        assert.match(error.message, problem);
        return key === undefined || !error.message.includes(key.slice(0, 12));
      },
    );
  });

test("the line that makes an authority's key makes one that is taken", () => {
  const { message } = assertThrown(() => openFleetAuthority(undefined));
  const command = /openssl ([a-z0-9 -]+) \|/.exec(message)?.[1] ?? "";
  assert.match(openFleetAuthority(openssl(command.trim().split(" "))).certificate, /BEGIN CERTIFICATE/);
});

test("the identity that a device makes is one that a certificate is issued for", () => {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-identity-"));
  const file = join(folder, "identity.key");
  const { status } = spawnSync("ssh-keygen", [
    "-q",
    "-t",
    "ecdsa",
    "-b",
    "256",
    "-m",
    "PKCS8",
    "-N",
    "",
    "-C",
    "",
    "-f",
    file,
  ]);
  assert.equal(status, 0);
  const identityKey = readFileSync(`${file}.pub`, "utf8").trim();
  const certificate = new X509Certificate(issueDeviceCertificate(AUTHORITY, { id: "tokyo-0001", identityKey }, 2026));
  assert.ok(certificate.checkPrivateKey(createPrivateKey(readFileSync(file))));
});

function assertThrown(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new assert.AssertionError({ message: "nothing was thrown" });
}
