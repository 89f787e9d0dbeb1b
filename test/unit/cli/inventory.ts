/** A small inventory folder for the tests of the command line: one fleet, one model, one region. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { parse, parseDocument } from "yaml";
import { renderRegionLock } from "../../../components/inventory/lock.ts";
import { LOCK_FIELDS, type LockedDevice } from "../../../components/inventory/lock-schema.ts";

const MACHINE = process.arch === "arm64" ? "arm64" : "amd64";

/** A `fleet.yaml` with one ring and without a hub. */
export const FLEET_WITHOUT_HUB = `fleet: acme
git: { url: "https://git.example.com/fleet.git" }
rings: [broad]
ring: broad
k3s: { version: v1.34.2+k3s1 }
hub: none
`;

/** Files of the folder, by name, without the region. */
export const BASE_FILES: Readonly<Record<string, string>> = {
  "fleet.yaml": `fleet: acme
git: { url: "https://git.example.com/fleet.git" }
rings: [canary, broad]
ring: broad
k3s: { version: v1.34.2+k3s1 }
hub: { argocd: { version: v3.2.0 } }
`,
  "models.yaml": `box: { architecture: ${MACHINE}, memory: 4Gi }
other: { architecture: ${MACHINE === "amd64" ? "arm64" : "amd64"}, memory: 4Gi }
`,
  "artifacts.lock.yaml": `k3s:
  v1.34.2+k3s1:
    amd64: { url: "https://example.com/k3s", sha256: ${"a".repeat(64)} }
    arm64: { url: "https://example.com/k3s-arm64", sha256: ${"b".repeat(64)} }
argocd:
  v3.2.11:
    crds:
      - { url: "https://example.com/application-crd.yaml", sha256: ${"c".repeat(64)} }
      - { url: "https://example.com/appproject-crd.yaml", sha256: ${"d".repeat(64)} }
    images:
      argocd: quay.io/argoproj/argocd:v3.2.11@sha256:${"e".repeat(64)}
      redis: public.ecr.aws/docker/library/redis:8.2.2-alpine@sha256:${"f".repeat(64)}
`,
};

/** A temporary folder, removed after the test. */
export function temporaryDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-test-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/**
 * Writes an inventory folder. A test may write the pins of a device (hostKey, identityKey, facts) in its entry: they go
 * into the region's lock.
 * @returns its path
 */
export function writeInventory(context: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = join(temporaryDirectory(context), "stacks");
  mkdirSync(directory);
  for (const [name, text] of Object.entries({ ...BASE_FILES, ...files }).flatMap(splitPins))
    writeFileSync(join(directory, name), text);
  return directory;
}

function splitPins([name, text]: [string, string]): [string, string][] {
  const { devices } = (name.endsWith(".yaml") ? parse(text) : {}) as { devices?: (LockedDevice & { id: string })[] };
  if (!Array.isArray(devices)) return [[name, text]];
  const pinned = devices.filter((entry) => LOCK_FIELDS.some((field) => field in entry));
  if (pinned.length === 0) return [[name, text]];
  const document = parseDocument(text);
  for (const [index] of devices.entries())
    for (const field of LOCK_FIELDS) document.deleteIn(["devices", index, field]);
  const region = name.replace(/\.yaml$/, "");
  const lock = renderRegionLock(region, new Map(pinned.map(({ id, ...entry }) => [id, pick(entry)])));
  return [
    [name, document.toString()],
    [`${region}.lock.yaml`, lock],
  ];
}

function pick({ hostKey, identityKey, facts }: LockedDevice): LockedDevice {
  return { hostKey, identityKey, facts };
}
