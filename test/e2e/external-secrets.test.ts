/**
 * External Secrets on a real API server: its definitions as `edge-fleet lock` leaves them, which take and refuse what upstream's
 * do, its objects with every field checked, and its account, which may do what the process does and no more. The definitions
 * are upstream's of v1.3.2, the newest that the Go module proxy has; the process cannot be had from it.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { trimDefinition } from "../../cli/lock/definition.ts";
import { renderExternalSecrets } from "../../components/gitops/engine/external-secrets/index.ts";
import {
  EXTERNAL_SECRETS_KINDS,
  type ExternalSecretsKind,
  externalSecretsDefinitionFile,
} from "../../components/gitops/engine/external-secrets/settings.ts";
import { type AppliedObject, applyObject, callApi, mayDo } from "../lab/hub/api.ts";
import { startHub } from "../lab/hub/index.ts";
import { enterLab } from "../lab/scenario.ts";
import { settle } from "../lab/settle.ts";
import { externalSecretsDefinition } from "../lab/toolchain/index.ts";

const toolchain = await enterLab();

/** What K0s keeps of an object in an annotation at most, in bytes: Kubernetes' own bound of all of them. */
const MAX_ANNOTATION = 256 * 1024;

const GROUP = "external-secrets.io";
/** What the process asks for, with the file of v2.9.0 that asks, and what it may not have. */
const RIGHTS: readonly (readonly [verb: string, group: string, resource: string, allowed: boolean])[] = [
  // pkg/controllers/externalsecret/externalsecret_controller.go: SetupWithManager, the finalizer, the status
  ["watch", GROUP, "externalsecrets", true],
  ["patch", GROUP, "externalsecrets", true],
  ["update", GROUP, "externalsecrets/status", true],
  ["delete", GROUP, "externalsecrets", false],
  // pkg/controllers/secretstore: SetupWithManager, the status
  ["watch", GROUP, "secretstores", true],
  ["patch", GROUP, "secretstores/status", true],
  ["patch", GROUP, "secretstores", false],
  // pkg/controllers/generatorstate: SetupWithManager; it makes none with --enable-generator-state=false
  ["watch", "generators.external-secrets.io", "generatorstates", true],
  ["create", "generators.external-secrets.io", "generatorstates", false],
  // externalsecret_controller.go: createSecret, updateSecret, the label of a Secret that was there, deleteOrphanedSecrets
  ["watch", "", "secrets", true],
  ["create", "", "secrets", true],
  ["update", "", "secrets", true],
  ["patch", "", "secrets", true],
  ["delete", "", "secrets", true],
  // Authorities of a store and templates, without --enable-configmaps-caching
  ["get", "", "configmaps", true],
  ["list", "", "configmaps", false],
  ["create", "", "serviceaccounts/token", false],
  ["get", "", "serviceaccounts", false],
];

/** The YAML that operations.md shows. */
function documented(): AppliedObject[] {
  const text = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");
  const [, block = ""] = /## Secrets from a store\n[\s\S]*?```yaml\n([\s\S]*?)```/.exec(text) ?? [];
  return parseAllDocuments(block).map((document) => document.toJS() as AppliedObject);
}

const [STORE, EXTERNAL_SECRET] = documented() as (AppliedObject & { readonly spec: object })[];

test("External Secrets on a real API server", async (t) => {
  const hub = await startHub({ toolchain, directory: join(mkdtempSync("/run/edge-fleet-external-"), "hub") });
  t.after(() => hub.stop());
  const kubeconfig = readFileSync(hub.kubeconfigPath, "utf8");
  const statusOf = async (object: object) => (await applyObject(kubeconfig, object as AppliedObject)).status;

  await t.test("its definitions are taken, and each fits where K0s keeps what it has applied", async () => {
    for (const kind of Object.keys(EXTERNAL_SECRETS_KINDS) as ExternalSecretsKind[]) {
      const file = externalSecretsDefinitionFile(kind);
      const upstream = await externalSecretsDefinition(file);
      const definition = parse(trimDefinition(upstream, file)) as AppliedObject;
      const [size, before] = [definition, parse(upstream)].map((object) => JSON.stringify(object).length);
      t.diagnostic(`${file}: ${size} bytes as JSON, ${before} before`);
      assert.ok((size ?? 0) < MAX_ANNOTATION, file);
      assert.equal(await statusOf(definition), 201, file);
      const path = `/apis/${EXTERNAL_SECRETS_KINDS[kind]}/${kind === "generatorstates" ? "v1alpha1" : "v1"}/${kind}`;
      const served = async () => (await callApi(kubeconfig, "GET", path)).status;
      assert.equal(await settle(served, 200, 30_000), 200, path);
    }
  });

  await t.test("its objects are taken, and a second time changes nothing", async () => {
    const text = renderExternalSecrets({ image: `ghcr.io/external-secrets/external-secrets@sha256:${"a".repeat(64)}` });
    for (const document of parseAllDocuments(text)) {
      const object = document.toJS() as AppliedObject;
      const [first, second] = [await applyObject(kubeconfig, object), await applyObject(kubeconfig, object)];
      assert.deepEqual([first.status, second.status], [201, 200], JSON.stringify([object.kind, first.body]));
      const [was, is] = [first, second].map(({ body }) => (body as { metadata: { generation?: number } }).metadata);
      assert.equal(is?.generation, was?.generation, object.kind);
    }
  });

  await t.test("the objects that the documents show are taken, and mistakes in them are refused", async () => {
    await statusOf({ apiVersion: "v1", kind: "Namespace", metadata: { name: "edge-apps" } });
    assert.deepEqual([STORE?.kind, EXTERNAL_SECRET?.kind], ["SecretStore", "ExternalSecret"]);
    assert.deepEqual([await statusOf(STORE ?? {}), await statusOf(EXTERNAL_SECRET ?? {})], [201, 201]);
    const mistakes = [
      { ...STORE, spec: { provider: { vault: { server: "https://vault.example.com", auth: "token" } } } },
      { ...STORE, spec: { provider: { vault: { path: "edge" } } } },
      { ...EXTERNAL_SECRET, spec: { ...EXTERNAL_SECRET?.spec, target: { deletionPolicy: "Keep" } } },
      { ...EXTERNAL_SECRET, spec: { ...EXTERNAL_SECRET?.spec, refresh: "1h" } },
    ];
    const refused = [];
    for (const mistake of mistakes) refused.push((await statusOf(mistake)) >= 400);
    assert.deepEqual(refused, [true, true, true, true]);
  });

  await t.test("its account may do what the process does and no more", async () => {
    const found = [];
    for (const [verb, group, resource] of RIGHTS) {
      const asked = { verb, group, resource, namespace: "edge-apps" };
      found.push([verb, group, resource, await mayDo(kubeconfig, "external-secrets:external-secrets", asked)]);
    }
    assert.deepEqual(found, RIGHTS);
  });
});
