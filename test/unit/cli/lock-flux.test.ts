/** Flux in the lock: the definitions of its kinds by hash and its images by digest, for the devices that have it. */
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

const FLEET = `${FLEET_WITHOUT_HUB}gitops: { engine: flux }
`;
const SOURCES = ["buckets", "gitrepositories", "helmcharts", "helmrepositories", "ocirepositories"];
const image = (name: string) => `ghcr.io/fluxcd/${name}-controller:v1.9.1@sha256:${"7".repeat(64)}`;

test("each release of each controller that a device asks for is planned once", (context) => {
  const stacks = writeInventory(context, {
    "fleet.yaml": FLEET,
    "tokyo.yaml": `region: tokyo
devices:
  - { id: a, host: h, model: box }
  - { id: b, host: i, model: box, gitops: { engine: none } }
  - { id: c, host: j, model: box, gitops: { flux: { kustomizeController: v1.9.0 } } }
`,
  });
  const used = planLock(loadInventory(stacks)).filter(({ project }) => project === "flux");
  const file = (part: string, name: string, version: string, user: string) => (kind: string) => {
    const crd = `${name}.toolkit.fluxcd.io_${kind}.yaml`;
    const url = `${UPSTREAM.flux}/${name}-controller/${version}/config/crd/bases/${crd}`;
    return [`flux.${part}.${version}.crds (${crd})`, user, url];
  };
  const both = "2 devices, e.g. a";
  assert.deepEqual(
    used.map(({ field, usedBy, url, hash }) => [
      field,
      usedBy,
      hash.kind === "image" && "reference" in hash ? hash.reference : url,
    ]),
    [
      ...SOURCES.map(file("sourceController", "source", "v1.9.1", both)),
      ["flux.sourceController.v1.9.1.image", both, "ghcr.io/fluxcd/source-controller:v1.9.1"],
      ...["v1.9.0", "v1.9.1"].flatMap((version) => {
        const user = version === "v1.9.1" ? "device a" : "device c";
        return [
          file("kustomizeController", "kustomize", version, user)("kustomizations"),
          [`flux.kustomizeController.${version}.image`, user, `ghcr.io/fluxcd/kustomize-controller:${version}`],
        ];
      }),
    ],
  );
});

test("definitions are locked by their hashes, images stay as they are locked, and a device then has a plan of all", async (context) => {
  const hash = (content: string) => createHash("sha256").update(content).digest("hex");
  const server = await serve(context, (request, response) => {
    const path = request.url ?? "";
    if (path.includes("/v1.9.1/config/crd/bases/")) response.end(`# ${path}\n`);
    else if (path.includes("/sha256sum-")) response.end(`${hash("k3s")}  k3s\n${hash("k3s")}  k3s-arm64\n`);
    else if (/\/k3s(-arm64)?$/.test(path)) response.end("k3s");
    else response.writeHead(404).end();
  });
  const stacks = writeInventory(context, {
    "fleet.yaml": FLEET,
    "tokyo.yaml": "region: tokyo\ndevices: [{ id: a, host: h, model: box }]\n",
    "artifacts.lock.yaml": `flux:
  sourceController: { v1.9.1: { image: "${image("source")}", crds: [] } }
  kustomizeController: { v1.9.1: { image: "${image("kustomize")}", crds: [] } }
`,
  });
  const args = ["lock", "--inventory", stacks, "--cache", temporaryDirectory(context), "--k3s-base", server.url];
  const { exitCode, stderr } = await edgeFleet([...args, "--flux-base", server.url]);
  assert.equal(exitCode, 0, stderr);
  const inventory = loadInventory(stacks);
  const manifests = resolveArtifacts(resolveProfile(inventory, "a"), inventory.artifacts).slice(1);
  assert.deepEqual(
    manifests.map(({ installPath }) => installPath?.split("/").at(-1)),
    [
      ...[...SOURCES, "kustomizations"].map((kind) => `edge-fleet-crd-flux-${kind}.yaml`),
      "edge-fleet-engine-flux.yaml",
    ],
  );
  const text = manifests.at(-1)?.content ?? "";
  assert.ok(text.includes(`image: ${image("source")}\n`) && text.includes(`image: ${image("kustomize")}\n`));
  const check = await edgeFleet([...args, "--check"]);
  assert.deepEqual([check.exitCode, check.stderr], [0, ""]);
});

test("a device whose release is not locked is refused with what is missing", (context) => {
  const stacks = writeInventory(context, {
    "fleet.yaml": FLEET.replace("engine: flux", "engine: none"),
    "tokyo.yaml": "region: tokyo\ndevices: [{ id: a, host: h, model: box }]\n",
  });
  const profile = resolveProfile(loadInventory(stacks), "a");
  const wanted = { ...profile, gitops: { ...profile.gitops, engine: "flux" as const } };
  assert.throws(
    () => resolveArtifacts(wanted, { k3s: { "v1.34.2+k3s1": { amd64: FILE, arm64: FILE } } }),
    /flux\.sourceController\.v1\.9\.1\.crds \(source\.toolkit\.fluxcd\.io_buckets\.yaml\) is missing, device a needs it - run edge-fleet lock/,
  );
});

const FILE = { url: "https://example.com/k3s", sha256: "3".repeat(64) };
