import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { selectControlPlane } from "../../../components/hub/control-plane.ts";
import { loadArgoCd, type ManifestObject } from "../../../components/hub/manifests.ts";
import { argocdManifests } from "../../lab/toolchain/index.ts";
import { processFolder } from "../../temporary.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const CRD = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x.example.com}\n";
const INSTALL = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\n---\n";

function lockOf(url: string, hash = sha256(CRD)) {
  return {
    argocd: {
      "v3.2.0": { crds: [{ url, sha256: hash }], controlPlane: { url: "install.yaml", sha256: sha256(INSTALL) } },
    },
  };
}

function folder(): string {
  const directory = processFolder("hub");
  writeFileSync(join(directory, "crd.yaml"), CRD);
  writeFileSync(join(directory, "install.yaml"), INSTALL);
  return directory;
}

test("manifests are read beside the lock file, empty documents left out", async () => {
  const { crds, namespaceInstall } = await loadArgoCd("v3.2.0", lockOf("crd.yaml"), folder());
  assert.deepEqual(
    [crds, namespaceInstall].map((objects) => objects.map(({ metadata }) => metadata.name)),
    [["x.example.com"], ["argocd-cm"]],
  );
});

test("manifests are downloaded, and a server's error names the URL", async () => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === "/crd.yaml" ? 200 : 404;
    response.end(CRD);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  assert.equal((await loadArgoCd("v3.2.0", lockOf(`${base}/crd.yaml`), folder())).crds.length, 1);
  await assert.rejects(
    loadArgoCd("v3.2.0", lockOf(`${base}/gone.yaml`), folder()),
    /gone.yaml: the server answers 404/,
  );
  server.close();
});

test("a manifest that is not byte for byte the locked one is refused", async () => {
  const wrong = "0".repeat(64);
  await assert.rejects(
    loadArgoCd("v3.2.0", lockOf("crd.yaml", wrong), folder()),
    /crd.yaml: its SHA-256 is [0-9a-f]{64} and not 0{64} as locked/,
  );
});

test("a release that is not locked is refused with those that are", async () => {
  await assert.rejects(
    loadArgoCd("v3.9.9", lockOf("crd.yaml"), folder()),
    /argocd.v3.9.9: is missing - add it, or use one of: v3.2.0/,
  );
});

test("of Argo CD's own install a control plane runs the ApplicationSet controller, the repo-server and redis", async () => {
  const { directory } = await argocdManifests();
  const file = (path: string) => ({ url: join(directory, path), sha256: "" });
  const objects = await readUnchecked(file("namespace-install.yaml").url);
  const selected = selectControlPlane({ namespaceInstall: objects });
  const workloads = selected
    .filter(({ kind }) => ["Deployment", "StatefulSet"].includes(kind))
    .map(({ metadata }) => metadata.name);
  assert.deepEqual(workloads.sort(), ["argocd-applicationset-controller", "argocd-redis", "argocd-repo-server"]);
  assert.deepEqual(
    selected.filter(({ kind }) => kind === "Secret"),
    [],
    "Secrets are made by edge-fleet",
  );
  assert.ok(selected.some(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "argocd-cm"));
  const accounts = new Set(
    selected.filter(({ kind }) => kind === "ServiceAccount").map(({ metadata }) => metadata.name),
  );
  for (const { kind, spec } of selected) {
    if (kind !== "Deployment") continue;
    const account = (spec as { template: { spec: { serviceAccountName: string } } }).template.spec.serviceAccountName;
    assert.ok(accounts.has(account), `${account} is selected with its Deployment`);
  }
});

test("every container of a control plane is bounded, and runs the image that is locked", async () => {
  const { directory } = await argocdManifests();
  const namespaceInstall = await readUnchecked(join(directory, "namespace-install.yaml"));
  const containersOf = (images: { argocd?: string; redis?: string }) =>
    selectControlPlane({ namespaceInstall, images }).flatMap(({ kind, spec }) => {
      if (kind !== "Deployment") return [];
      const { containers, initContainers = [] } = (spec as { template: { spec: Record<string, Container[]> } }).template
        .spec;
      return [...(containers ?? []), ...initContainers];
    });
  const byTag = containersOf({});
  const byDigest = containersOf({ argocd: "quay.io/argoproj/argocd@sha256:a", redis: "docker.io/redis@sha256:b" });
  assert.equal(byTag.length, 5);
  for (const [index, container] of byDigest.entries()) {
    assert.match(container.resources.requests.memory ?? "", /^\d+Mi$/);
    assert.match(container.resources.limits.memory ?? "", /^\d+Mi$/);
    const own = byTag[index]?.image.includes("redis") ? "docker.io/redis@sha256:b" : "quay.io/argoproj/argocd@sha256:a";
    assert.deepEqual([container.image, container.imagePullPolicy], [own, "IfNotPresent"]);
    assert.match(byTag[index]?.image ?? "", /:(v3\.2\.11|8\.2\.2-alpine)$/);
  }
});

interface Container {
  readonly image: string;
  readonly imagePullPolicy?: string;
  readonly resources: { readonly requests: { memory?: string }; readonly limits: { memory?: string } };
}

async function readUnchecked(path: string): Promise<ManifestObject[]> {
  const { readFile } = await import("node:fs/promises");
  const { parseAllDocuments } = await import("yaml");
  return parseAllDocuments(await readFile(path, "utf8")).map((document) => document.toJS() as ManifestObject);
}
