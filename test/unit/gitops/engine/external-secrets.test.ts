/** The objects of a device's External Secrets controller. What they claim of it was read at v2.9.0; the file is beside each claim. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { renderExternalSecrets } from "../../../../components/gitops/engine/external-secrets/index.ts";
import { SECRETS_CONTROLLERS, secretsSourceOf } from "../../../../components/gitops/engine/secrets.ts";
import { admits, type End, type Policy } from "../../../flows.ts";
import { assertGolden } from "../../../golden.ts";
import { gitopsOf } from "../../device/profile.ts";
import { validate, writeKubernetesSchemas } from "../schemas.ts";
import { type ParsedObject, parsedEngine } from "./objects.ts";

const TEXT = renderExternalSecrets({
  image: `ghcr.io/external-secrets/external-secrets:v2.9.0@sha256:${"5".repeat(64)}`,
});
const OBJECTS = parseAllDocuments(TEXT).map((document) => document.toJS() as ParsedObject);

test("the controller is as reviewed", () => assertGolden("engine/external-secrets.yaml", TEXT));

test("Kubernetes' own schemas take every object, and refuse one with a field of another name", (context) => {
  const schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  context.after(() => rmSync(schemas, { recursive: true, force: true }));
  writeKubernetesSchemas(schemas);
  assert.match(validate(schemas, TEXT), new RegExp(`Valid: ${OBJECTS.length}, Invalid: 0, Errors: 0, Skipped: 0`));
  const broken = TEXT.replace("readOnlyRootFilesystem:", "readOnlyRoot:");
  assert.throws(() => validate(schemas, broken), /is invalid|Invalid: 1/);
});

test("it is installed beside every engine, once for a cluster, and nowhere else", () => {
  const installed = (["argocd", "argocd-agent", "flux", "none"] as const).map((engine) => {
    const gitops = { ...gitopsOf(engine), secrets: "external-secrets" as const };
    return [engine, secretsSourceOf({ gitops, joins: undefined }), secretsSourceOf({ gitops, joins: "tokyo-0001" })];
  });
  assert.deepEqual(installed, [
    ["argocd", "external-secrets", undefined],
    ["argocd-agent", "external-secrets", undefined],
    ["flux", "external-secrets", undefined],
    ["none", undefined, undefined],
  ]);
  assert.equal(secretsSourceOf({ gitops: gitopsOf("flux"), joins: undefined }), undefined);
});

test("the collector of garbage works before the kernel ends it", () => {
  const { requestMiB, limitMiB } = SECRETS_CONTROLLERS["external-secrets"].memory;
  const limit = Number(/GOMEMLIMIT\n\s+value: "(\d+)MiB"/.exec(TEXT)?.[1]);
  assert.ok(requestMiB < limit && limit < limitMiB, `${requestMiB} ${limit} ${limitMiB}`);
});

const pod = (name: string, namespace = "external-secrets"): End => ({
  namespace,
  labels: { "app.kubernetes.io/name": name },
});
const [CONTROLLER, OUTSIDE] = [pod("external-secrets"), { address: "203.0.113.9" }];

const FLOWS: readonly (readonly [what: string, from: End, to: End, port: number, open: boolean])[] = [
  ["the controller reaches the API server", CONTROLLER, OUTSIDE, 6443, true],
  ["the controller reaches a store", CONTROLLER, OUTSIDE, 8200, true],
  ["the controller asks a DNS server", CONTROLLER, OUTSIDE, 53, true],
  ["a workload does not reach it", pod("web", "edge-apps"), CONTROLLER, 8082, false],
  ["nobody reads its metrics", OUTSIDE, CONTROLLER, 8080, false],
  ["another pod of its namespace reaches nothing", pod("other"), OUTSIDE, 443, false],
];

test("its policies admit the ways to the API server and to stores, and none to it", () => {
  const policies = [...parsedEngine(), ...OBJECTS].filter(
    ({ kind }) => kind === "NetworkPolicy",
  ) as unknown as Policy[];
  const wrong = FLOWS.filter(([, from, to, port, open]) => admits(policies, { from, to, port }) !== open);
  assert.deepEqual(
    wrong.map(([what]) => what),
    [],
  );
});
