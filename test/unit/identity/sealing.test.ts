/** The pairs that SealedSecrets are encrypted for. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createPublicKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { openFleetAuthority } from "../../../components/identity/authority.ts";
import {
  isSealingKey,
  makeSealingPair,
  sealingKeyName,
  sealingPublicKey,
  sealingSecretKey,
} from "../../../components/identity/sealing.ts";
import { authorityKey } from "./keys.ts";

const NOW = new Date("2026-11-27T12:00:00Z");
const PAIR = makeSealingPair("tokyo", NOW);

test("a certificate is of an RSA key of 4096 bits, signed by itself, and never ends", () => {
  const certificate = new X509Certificate(PAIR.certificate);
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.modulusLength, 4096);
  assert.ok(certificate.verify(certificate.publicKey));
  assert.equal(certificate.subject, "CN=sealing key of tokyo");
  assert.deepEqual([certificate.validFromDate, certificate.validToDate], [NOW, new Date("9999-12-31T23:59:59Z")]);
  assert.equal(certificate.ca, false);
  const { status, stdout } = spawnSync("openssl", ["x509", "-noout", "-text"], {
    encoding: "utf8",
    input: PAIR.certificate,
  });
  assert.equal(status, 0);
  assert.match(stdout, /Signature Algorithm: sha256WithRSAEncryption/);
  assert.match(stdout, /X509v3 Key Usage: critical\n\s+Key Encipherment/);
});

test("the two halves belong together, and with no others", () => {
  const other = makeSealingPair("tokyo", NOW);
  assert.ok(isSealingKey(PAIR.certificate, PAIR.key));
  assert.ok(isSealingKey(PAIR.certificate, PAIR.key.trimEnd()), "Pulumi drops the last newline");
  assert.ok(!isSealingKey(PAIR.certificate, other.key));
  for (const text of ["", "secret", PAIR.certificate]) assert.ok(!isSealingKey(PAIR.certificate, text));
  assert.notEqual(sealingKeyName(PAIR.certificate), sealingKeyName(other.certificate));
  assert.match(sealingSecretKey(PAIR.certificate), /^sealingKey-[0-9a-f]{12}$/);
});

test("only a certificate of an RSA key has a key to seal with", () => {
  assert.ok(sealingPublicKey(PAIR.certificate).equals(createPublicKey(PAIR.key)));
  assert.throws(() => sealingPublicKey(openFleetAuthority(authorityKey()).certificate), /no certificate of an RSA key/);
  assert.throws(() => sealingPublicKey("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
});
