/** The objects of a device's Sealed Secrets controller. What they claim of it was read at v0.40.0; the file is beside each claim. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { renderSealedSecrets } from "../../../../components/gitops/engine/sealed-secrets/index.ts";
import type { SealedSecretsSettings } from "../../../../components/gitops/engine/sealed-secrets/settings.ts";
import { admits, type End, type Policy } from "../../../flows.ts";
import { assertGolden } from "../../../golden.ts";
import { validate, writeKubernetesSchemas } from "../schemas.ts";
import { type Container, type ParsedObject, parsedEngine } from "./objects.ts";

const SETTINGS: SealedSecretsSettings = {
  image: `docker.io/bitnami/sealed-secrets-controller:0.40.0@sha256:${"8".repeat(64)}`,
  keys: ["sealing-key-0123456789ab", "sealing-key-ba9876543210"],
};

function parsed(settings: Partial<SealedSecretsSettings> = {}): ParsedObject[] {
  const documents = parseAllDocuments(renderSealedSecrets({ ...SETTINGS, ...settings }));
  return documents.map((document) => document.toJS() as ParsedObject);
}

interface Pod {
  readonly containers: readonly [Container & { readonly ports: object; readonly securityContext: object }];
  readonly volumes: readonly {
    readonly projected: { readonly sources: readonly { secret: { name: string; items: { key: string }[] } }[] };
  }[];
}

interface Deployment {
  readonly spec: { readonly template: { readonly spec: Pod } };
}

function podOf(settings: Partial<SealedSecretsSettings> = {}): Pod {
  const deployment = parsed(settings).find(({ kind }) => kind === "Deployment") as unknown as Deployment;
  return deployment.spec.template.spec;
}

test("the controller is as reviewed", () => assertGolden("engine/sealed-secrets.yaml", renderSealedSecrets(SETTINGS)));

test("Kubernetes' own schemas take every object", (context) => {
  const schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  context.after(() => rmSync(schemas, { recursive: true, force: true }));
  writeKubernetesSchemas(schemas);
  const summary = new RegExp(`Valid: ${parsed().length}, Invalid: 0, Errors: 0, Skipped: 0`);
  assert.match(validate(schemas, renderSealedSecrets(SETTINGS)), summary);
});

test("it makes no key: renewal is off, and its pod waits for the certificate of each key, never for a private one", () => {
  const { containers, volumes } = podOf();
  assert.ok(containers[0].args.includes("--key-renew-period=0"));
  const sources = volumes.flatMap(({ projected }) => projected.sources.map(({ secret }) => secret));
  assert.deepEqual(
    sources.map(({ name, items }) => [name, ...items.map(({ key }) => key)]),
    SETTINGS.keys.map((name) => [name, "tls.crt"]),
  );
});

test("another set of keys is another pod, since it reads them once", () => {
  assert.notDeepEqual(podOf({ keys: SETTINGS.keys.slice(0, 1) }), podOf());
  assert.deepEqual(podOf(), podOf({}));
});

test("it has no Service, and may change nothing but Secrets, events and the status of its own kind", () => {
  const kinds = parsed().map(({ kind }) => kind);
  assert.ok(!kinds.includes("Service"));
  const role = parsed().find(({ kind }) => kind === "ClusterRole") as unknown as {
    rules: { resources: string[]; verbs: string[] }[];
  };
  const writes = role.rules.filter(({ verbs }) => verbs.some((verb) => !["get", "list", "watch"].includes(verb)));
  assert.deepEqual(
    writes.map(({ resources, verbs }) => [
      ...resources,
      ...verbs.filter((verb) => !["get", "list", "watch"].includes(verb)),
    ]),
    [
      ["sealedsecrets/status", "update"],
      ["secrets", "create", "update"],
      ["events", "create", "patch"],
    ],
  );
});

const pod = (name: string, namespace = "sealed-secrets"): End => ({
  namespace,
  labels: { "app.kubernetes.io/name": name },
});
const CONTROLLER = pod("sealed-secrets-controller");
const OUTSIDE: End = { address: "203.0.113.9" };

const FLOWS: readonly (readonly [what: string, from: End, to: End, port: number, open: boolean])[] = [
  ["the controller reaches the API server", CONTROLLER, OUTSIDE, 6443, true],
  ["the controller reaches the API server's Service", CONTROLLER, OUTSIDE, 443, true],
  ["the controller asks no DNS", CONTROLLER, OUTSIDE, 53, false],
  ["the controller reaches nothing else", CONTROLLER, OUTSIDE, 80, false],
  ["a workload does not have it seal anew", pod("web", "edge-apps"), CONTROLLER, 8080, false],
  ["the engine does not reach it", pod("argocd-application-controller", "argocd"), CONTROLLER, 8080, false],
  ["nobody reads its metrics", OUTSIDE, CONTROLLER, 8081, false],
  ["another pod of its namespace reaches nothing", pod("other"), OUTSIDE, 443, false],
];

test("its policies admit the way to the API server and nothing else", () => {
  const policies = [...parsedEngine(), ...parsed()].filter(({ kind }) => kind === "NetworkPolicy");
  const wrong = FLOWS.filter(
    ([, from, to, port, open]) => admits(policies as unknown as Policy[], { from, to, port }) !== open,
  );
  assert.deepEqual(
    wrong.map(([what]) => what),
    [],
  );
});
