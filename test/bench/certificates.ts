/**
 * Benchmark: what the identities of a region cost a run: the certificates of its devices, which each plan has, and the
 * blocklist of a region all of whose devices are refused. In one process, after a first certificate.
 */
import { generateKeyPairSync } from "node:crypto";
import { openFleetAuthority } from "../../components/identity/authority.ts";
import { issueDeviceCertificate } from "../../components/identity/device.ts";
import { renderBlocklist } from "../../components/identity/revocation.ts";
import { identityLine } from "../unit/identity/keys.ts";
import { readMachine } from "./machine.ts";
import { printResult } from "./report.ts";

const DEVICES = Number(process.env.BENCH_DEVICES ?? 1000);
/** Most agents of one principal, see design: a region with more is refused. */
const AGENTS = Math.min(DEVICES, 400);
const GENERATION = 2026;

function main(): void {
  const key = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const authority = openFleetAuthority(key);
  const identities = Array.from({ length: DEVICES }, (_, index) => {
    const scalar = Buffer.alloc(32);
    scalar.writeUInt32BE(index + 1, 28);
    return { id: `tokyo-${String(index + 1).padStart(4, "0")}`, identityKey: identityLine(scalar) };
  });
  const [first] = identities;
  if (first !== undefined) issueDeviceCertificate(authority, first, GENERATION);
  const certificates = seconds(() => {
    for (const identity of identities) issueDeviceCertificate(authority, identity, GENERATION);
  });
  let bytes = 0;
  const blocklist = seconds(() => {
    bytes = Buffer.byteLength(JSON.stringify(renderBlocklist(authority, identities.slice(0, AGENTS), GENERATION)));
  });
  printResult({
    benchmark: "certificates",
    method: "wall time in one process, once each",
    machine: readMachine(),
    figures: [
      { name: `certificates of ${DEVICES} devices`, value: certificates, unit: "s" },
      {
        name: `blocklist of ${AGENTS} refused devices`,
        value: blocklist,
        unit: "s",
        note: "every generation that may be valid",
      },
      { name: "blocklist", value: bytes, unit: "B", note: "a ConfigMap holds 1,048,576" },
    ],
  });
}

function seconds(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

main();
