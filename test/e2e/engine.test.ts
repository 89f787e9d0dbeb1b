/**
 * The engine's objects on a real API server: it takes each of them, again and again without a change, in the order in which they
 * are written; and its admission lets the pods of the engine in, with the namespace restricted, and no others.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { applyObject, callApi, pathOf } from "../lab/hub/api.ts";
import { type Hub, startHub } from "../lab/hub/index.ts";
import { argocdManifests, ensureToolchain } from "../lab/toolchain/index.ts";
import { type ParsedObject, parsedEngine, templates } from "../unit/gitops/engine/objects.ts";

describe("a real API server", { timeout: 300_000 }, () => {
  let hub: Hub;
  let kubeconfig = "";

  before(async () => {
    const toolchain = await ensureToolchain((line) => process.stderr.write(`${line}\n`), ["hub-apiserver"]);
    hub = await startHub({ toolchain, directory: mkdtempSync(join(tmpdir(), "edge-fleet-engine-")) });
    kubeconfig = readFileSync(hub.kubeconfigPath, "utf8");
  });
  after(() => hub?.stop());

  /** @returns generation and resource version */
  async function apply(object: ParsedObject): Promise<string> {
    const { status, body } = await applyObject(kubeconfig, object);
    assert.ok(status === 200 || status === 201, `${object.kind} ${object.metadata.name}: ${JSON.stringify(body)}`);
    const { metadata } = body as { metadata: { resourceVersion: string; generation?: number } };
    return `${object.kind} ${object.metadata.name}: ${metadata.generation} ${metadata.resourceVersion}`;
  }

  test("takes the definitions that a device gets", async () => {
    const { directory } = await argocdManifests();
    for (const kind of ["application", "appproject"])
      await apply(parse(readFileSync(join(directory, "crds", `${kind}-crd.yaml`), "utf8")) as ParsedObject);
  });

  test("takes every object in the order of the text, and nothing changes when it comes again", async () => {
    const applied: string[][] = [];
    for (let time = 0; time < 3; time++) {
      applied.push([]);
      for (const object of parsedEngine()) applied[time]?.push(await apply(object));
    }
    // Kubernetes 1.36 writes a claim once more when it is applied for the second time, without a difference to see.
    const claim = /^PersistentVolumeClaim /;
    const [first, second, third] = applied.map((lines) => lines.filter((line) => !claim.test(line)));
    assert.deepEqual(second, first);
    assert.deepEqual(third, second);
    assert.deepEqual(applied[2], applied[1]);
  });

  test("takes the engine of another size and release over the one before, by changed pods alone", async () => {
    const before = new Map<string, string>();
    for (const object of parsedEngine()) before.set(pathOf(object), await apply(object));
    const changed: string[] = [];
    for (const object of parsedEngine({ memoryMiB: 8192, images: { argocd: "a@sha256:1", redis: "b@sha256:2" } }))
      if ((await apply(object)) !== before.get(pathOf(object))) changed.push(object.kind);
    assert.deepEqual(changed, ["Deployment", "Deployment", "StatefulSet"]);
  });

  /** What the API server says to a pod. @param change of the template's spec */
  async function admit(workload: string, change: object = {}): Promise<string> {
    const template = templates().get(workload);
    assert.ok(template !== undefined);
    const pods = "/api/v1/namespaces/argocd/pods";
    const name = `probe-${workload}`;
    const spec = { ...template.spec, ...change };
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name, labels: template.metadata.labels }, spec };
    const { status, body } = await callApi(kubeconfig, "POST", pods, pod);
    if (status === 201) await callApi(kubeconfig, "DELETE", `${pods}/${name}`);
    return status === 201 ? "admitted" : (body as { message: string }).message;
  }

  test("admits the engine's pods into a namespace that is restricted", async () => {
    // The account of a new namespace is made by a controller.
    for (let tries = 0; tries < 100; tries++) {
      const { status } = await callApi(kubeconfig, "GET", "/api/v1/namespaces/argocd/serviceaccounts/default");
      if (status === 200) break;
      await sleep(100);
    }
    for (const workload of templates().keys()) assert.equal(await admit(workload), "admitted");
  });

  for (const [what, change, refused] of [
    [
      "a folder of the host",
      { volumes: [{ name: "checkouts", hostPath: { path: "/var/lib/edge-fleet/engine" } }] },
      /restricted volume types|hostPath volumes/,
    ],
    ["root", { securityContext: { runAsUser: 0 } }, /runAsUser=0/],
    ["no seccomp profile", { securityContext: { runAsNonRoot: true } }, /seccompProfile/],
    ["the host's network", { hostNetwork: true }, /host namespaces/],
  ] as const)
    test(`refuses the same pod with ${what}`, async () => {
      const own = templates().get("argocd-redis")?.spec;
      assert.match(await admit("argocd-redis", { ...own, ...change }), refused);
    });
});
