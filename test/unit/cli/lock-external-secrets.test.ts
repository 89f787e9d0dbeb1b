/** External Secrets in the lock: its definitions beside it, as small as a device can hold them, and its image by digest. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { UPSTREAM } from "../../../cli/lock/artifact.ts";
import { trimDefinition } from "../../../cli/lock/definition.ts";
import { planLock } from "../../../cli/lock/plan.ts";
import { loadInventory, resolveProfile } from "../../../components/inventory/index.ts";
import { resolveArtifacts } from "../../../components/plan/artifact.ts";
import { edgeFleet } from "./command.ts";
import { serve } from "./http-server.ts";
import { FLEET_WITHOUT_HUB, temporaryDirectory, writeInventory } from "./inventory.ts";

const NAMES = [
  "external-secrets.io_externalsecrets.yaml",
  "external-secrets.io_secretstores.yaml",
  "generators.external-secrets.io_generatorstates.yaml",
];
const IMAGE = `ghcr.io/external-secrets/external-secrets:v2.9.0@sha256:${"7".repeat(64)}`;
const REGION = `region: tokyo
devices:
  - { id: a, host: h, model: box, gitops: { secrets: external-secrets } }
  - { id: b, host: i, model: box, gitops: { secrets: external-secrets, engine: none } }
  - { id: c, host: j, model: box, gitops: { secrets: sealed-secrets } }
`;
const DEFINITION = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: things.example.com }
spec:
  scope: Namespaced
  versions:
    - name: v1
      served: true
      schema:
        openAPIV3Schema:
          description: A thing.
          type: object
          required: [description]
          properties:
            description: { description: What it is., type: string }
    - { name: v1beta1, served: false }
`;

test("a release is planned for the devices that have it, with the image as its chart names it", (context) => {
  const stacks = writeInventory(context, { "fleet.yaml": FLEET_WITHOUT_HUB, "tokyo.yaml": REGION });
  const used = planLock(loadInventory(stacks)).filter(({ project }) => project === "externalsecrets");
  const from = `${UPSTREAM.externalsecrets}/v2.9.0/config/crds/bases`;
  assert.deepEqual(
    used.map(({ field, usedBy, url, hash }) => [field, usedBy, "reference" in hash ? hash.reference : url]),
    [
      ...NAMES.map((name) => [`externalSecrets.v2.9.0.crds (${name})`, "device a", `${from}/${name}`]),
      ["externalSecrets.v2.9.0.image", "device a", "ghcr.io/external-secrets/external-secrets:v2.9.0"],
    ],
  );
});

test("a definition keeps all that the API server judges by, a property of the name description too", () => {
  const { spec } = parse(trimDefinition(DEFINITION, "https://example.com/things.yaml"));
  assert.deepEqual(spec.versions, [
    {
      name: "v1",
      served: true,
      schema: {
        openAPIV3Schema: {
          type: "object",
          required: ["description"],
          properties: { description: { type: "string" } },
        },
      },
    },
  ]);
  assert.throws(
    () => trimDefinition("kind: List\n", "https://example.com/list.yaml"),
    /^Error: https:\/\/example\.com\/list\.yaml: is no CustomResourceDefinition - check the base URL$/,
  );
});

test("definitions lie beside the lock, and a device has a plan of them", async (context) => {
  const hash = (content: string) => createHash("sha256").update(content).digest("hex");
  const server = await serve(context, (request, response) => {
    const path = request.url ?? "";
    if (path.includes("/config/crds/bases/")) response.end(DEFINITION);
    else if (path.includes("/config/crd/bases/")) response.end("kind: CustomResourceDefinition\n");
    else if (path.includes("/sha256sum-")) response.end(`${hash("k3s")}  k3s\n${hash("k3s")}  k3s-arm64\n`);
    else if (/\/k3s(-arm64)?$/.test(path)) response.end("k3s");
    else response.writeHead(404).end();
  });
  const stacks = writeInventory(context, {
    "fleet.yaml": `${FLEET_WITHOUT_HUB}gitops: { engine: flux, secrets: external-secrets }\n`,
    "tokyo.yaml": "region: tokyo\ndevices: [{ id: a, host: h, model: box }]\n",
    "artifacts.lock.yaml": `externalSecrets: { v2.9.0: { image: "${IMAGE}", crds: [] } }
flux:
  sourceController: { v1.9.1: { image: "ghcr.io/fluxcd/s:v1@sha256:${"1".repeat(64)}", crds: [] } }
  kustomizeController: { v1.9.1: { image: "ghcr.io/fluxcd/k:v1@sha256:${"2".repeat(64)}", crds: [] } }
`,
  });
  const args = ["lock", "--inventory", stacks, "--cache", temporaryDirectory(context), "--k3s-base", server.url];
  const bases = ["--externalsecrets-base", "--flux-base"].flatMap((option) => [option, server.url]);
  const { exitCode, stderr } = await edgeFleet([...args, ...bases]);
  assert.equal(exitCode, 0, stderr);
  const inventory = loadInventory(stacks);
  const { image, crds = [] } = inventory.artifacts.externalSecrets?.["v2.9.0"] ?? {};
  assert.equal(image, IMAGE);
  assert.deepEqual(
    crds.map(({ url, sha256, size }) => {
      const text = readFileSync(join(stacks, url), "utf8");
      return [url, sha256 === hash(text), size === Buffer.byteLength(text), text.includes("served: false")];
    }),
    NAMES.map((name) => [`definitions/external-secrets-v2.9.0/${name}`, true, true, false]),
  );
  const manifests = resolveArtifacts(resolveProfile(inventory, "a"), inventory.artifacts).filter(
    ({ name }) => /-crd$/.test(name) && !/^flux-/.test(name),
  );
  assert.deepEqual(
    manifests.map(({ name, local, delivery, url, mode }) => [name, local, delivery, url, mode]),
    ["externalsecrets", "secretstores", "generatorstates"].map((kind, index) => [
      `${kind}-crd`,
      true,
      "push",
      crds[index]?.url,
      "0600",
    ]),
  );
  const check = await edgeFleet([...args, ...bases, "--check"]);
  assert.deepEqual([check.exitCode, check.stderr], [0, ""]);
});
