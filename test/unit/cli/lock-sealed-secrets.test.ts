/** Sealed Secrets in the lock: its definition by hash and its image by digest, for the devices that have it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { UPSTREAM } from "../../../cli/lock/artifact.ts";
import { planLock } from "../../../cli/lock/plan.ts";
import { loadInventory, resolveProfile } from "../../../components/inventory/index.ts";
import { resolveArtifacts } from "../../../components/plan/artifact.ts";
import { edgeFleet } from "./command.ts";
import { serve } from "./http-server.ts";
import { FLEET_WITHOUT_HUB, temporaryDirectory, writeInventory } from "./inventory.ts";

const CRD = "helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml";
const IMAGE = `docker.io/bitnami/sealed-secrets-controller:0.40.0@sha256:${"7".repeat(64)}`;

const REGION = `region: tokyo
devices:
  - { id: a, host: h, model: box, gitops: { secrets: sealed-secrets } }
  - { id: b, host: i, model: box, gitops: { secrets: sealed-secrets, engine: none } }
  - { id: c, host: j, model: box, gitops: { secrets: sealed-secrets, sealedSecrets: { version: v0.39.1 } } }
  - { id: d, host: k, model: box }
`;

test("each release that a device asks for is planned once, with the image as its chart names it", (context) => {
  const stacks = writeInventory(context, { "fleet.yaml": FLEET_WITHOUT_HUB, "tokyo.yaml": REGION });
  const used = planLock(loadInventory(stacks)).filter(({ project }) => project === "sealedsecrets");
  assert.deepEqual(
    used.map(({ field, usedBy, url, hash }) => [
      field,
      usedBy,
      hash.kind === "image" && "reference" in hash ? hash.reference : url,
    ]),
    ["v0.39.1", "v0.40.0"].flatMap((version) => {
      const user = version === "v0.40.0" ? "device a" : "device c";
      return [
        [`sealedSecrets.${version}.crd`, user, `${UPSTREAM.sealedsecrets}/${version}/${CRD}`],
        [`sealedSecrets.${version}.image`, user, `docker.io/bitnami/sealed-secrets-controller:${version.slice(1)}`],
      ];
    }),
  );
});

test("the definition is locked by its hash, the image stays as it is locked, and a device then has a plan of both", async (context) => {
  const text = "kind: CustomResourceDefinition\n";
  const hash = (content: string) => createHash("sha256").update(content).digest("hex");
  const server = await serve(context, (request, response) => {
    const path = request.url ?? "";
    if (path === `/v0.40.0/${CRD}` || path.includes("/config/crd/bases/")) response.end(text);
    else if (path.includes("/sha256sum-")) response.end(`${hash("k3s")}  k3s\n${hash("k3s")}  k3s-arm64\n`);
    else if (/\/k3s(-arm64)?$/.test(path)) response.end("k3s");
    else response.writeHead(404).end();
  });
  const stacks = writeInventory(context, {
    "fleet.yaml": `${FLEET_WITHOUT_HUB}gitops: { engine: flux, secrets: sealed-secrets }\n`,
    "tokyo.yaml": "region: tokyo\ndevices: [{ id: a, host: h, model: box }]\n",
    "artifacts.lock.yaml": `sealedSecrets: { v0.40.0: { image: "${IMAGE}" } }
flux:
  sourceController: { v1.9.1: { image: "ghcr.io/fluxcd/s:v1@sha256:${"1".repeat(64)}", crds: [] } }
  kustomizeController: { v1.9.1: { image: "ghcr.io/fluxcd/k:v1@sha256:${"2".repeat(64)}", crds: [] } }
`,
  });
  const args = ["lock", "--inventory", stacks, "--cache", temporaryDirectory(context), "--k3s-base", server.url];
  const bases = ["--sealedsecrets-base", "--flux-base"].flatMap((option) => [option, server.url]);
  const { exitCode, stderr } = await edgeFleet([...args, ...bases]);
  assert.equal(exitCode, 0, stderr);
  const inventory = loadInventory(stacks);
  const crd = { url: `${server.url}/v0.40.0/${CRD}`, sha256: hash(text), size: text.length };
  assert.deepEqual(inventory.artifacts.sealedSecrets, { "v0.40.0": { image: IMAGE, crd } });
  const manifests = resolveArtifacts(resolveProfile(inventory, "a"), inventory.artifacts).filter(({ name }) =>
    /^sealed/.test(name),
  );
  assert.deepEqual(
    manifests.map(({ name, sha256 }) => [name, sha256 === crd.sha256]),
    [
      ["sealedsecret-crd", true],
      ["sealed-secrets v0.40.0", false],
    ],
  );
  assert.ok(manifests[1]?.content?.includes(`image: ${IMAGE}\n`));
  const check = await edgeFleet([...args, "--check"]);
  assert.deepEqual([check.exitCode, check.stderr], [0, ""]);
});
