import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { LockContext } from "../../../cli/lock/artifact.ts";
import { planArgoCdAgent } from "../../../cli/lock/sources/argocd-agent.ts";
import { loadInventory, resolveProfile } from "../../../components/inventory/index.ts";
import { resolveArtifacts } from "../../../components/plan/artifact.ts";
import { buildProfile, gitopsOf, LOCK } from "../device/profile.ts";
import { answerAsRegistry, DIGESTS, imagesOf, installOf } from "./argocd-release.ts";
import { edgeFleet } from "./command.ts";
import { serve } from "./http-server.ts";
import { writeInventory } from "./inventory.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const FLEET = `fleet: acme
git: { url: "https://git.example.com/fleet.git" }
rings: [canary]
ring: canary
k3s: { version: v1.36.2+k3s1 }
`;
const HUB = "hub: { argocd: { version: v3.2.0 } }\n";
/** A server that has releases and is the registry that they name; a fleet whose devices run Argo CD. */
async function lab(context: TestContext, fleet = FLEET, devices = ["{ id: a, host: h, model: nuc }"]) {
  const server = await serve(context, (request, response) => {
    const path = request.url ?? "";
    const host = request.headers.host ?? "";
    const [, version = ""] = /^\/(v[\d.]+)\/manifests\/namespace-install\.yaml$/.exec(path) ?? [];
    if (answerAsRegistry(request, response)) return;
    if (version !== "") response.end(installOf(host, version));
    else if (/\/crds\//.test(path)) response.end(`kind: ${path.split("/").at(-1)}\n`);
    else if (path.endsWith("/sha256sum-amd64.txt")) response.end(`${sha256("k3s")}  k3s\n`);
    else if (path.endsWith("/k3s")) response.end("k3s");
    else response.writeHead(404).end();
  });
  const stacks = writeInventory(context, {
    "fleet.yaml": fleet,
    "models.yaml": "nuc: { architecture: amd64, memory: 4Gi }\n",
    "tokyo.yaml": `region: tokyo\ndevices:\n${devices.map((device) => `  - ${device}\n`).join("")}`,
    "artifacts.lock.yaml": "k3s: {}\n",
  });
  return {
    server,
    stacks,
    registry: new URL(server.url).host,
    lock: (...args: string[]) =>
      edgeFleet([
        "lock",
        "--inventory",
        stacks,
        "--k3s-base",
        server.url,
        "--argocd-base",
        server.url,
        "--cache",
        `${stacks}/../cache`,
        ...args,
      ]),
    locked: () => loadInventory(stacks).artifacts.argocd ?? {},
    manifests: (id: string) =>
      resolveArtifacts(resolveProfile(loadInventory(stacks), id), loadInventory(stacks).artifacts).filter(
        ({ kind }) => kind === "manifest",
      ),
  };
}

test("a fleet without a hub gets what its devices need: two definitions, and the images of the release by digest", async (context) => {
  const { lock, locked, registry, manifests, server } = await lab(context, `${FLEET}hub: none\n`);
  const { exitCode, stderr } = await lock();
  assert.equal(exitCode, 0, stderr);
  const release = locked()["v3.2.11"];
  assert.deepEqual(
    release?.crds.map(({ url }) => url.split("/").at(-1)),
    ["application-crd.yaml", "appproject-crd.yaml"],
  );
  assert.equal(release?.controlPlane, undefined);
  assert.deepEqual(release?.images, imagesOf(registry, "v3.2.11"));
  const engine = manifests("a").at(-1);
  assert.equal(engine?.name, "argocd v3.2.11");
  assert.ok(engine?.content?.includes(`image: "${registry}/argoproj/argocd:v3.2.11@${DIGESTS.argocd}"\n`));
  const asked = server.requests.length;
  assert.equal((await lock()).exitCode, 0);
  assert.deepEqual(
    server.requests.slice(asked).filter((request) => request.includes("/v2/")),
    [],
    "a locked image is not asked for again",
  );
});

test("the hub's release and those of the devices are locked side by side, each for who needs it", async (context) => {
  const { lock, locked } = await lab(context, `${FLEET}${HUB}`, [
    "{ id: a, host: h, model: nuc }",
    "{ id: b, host: i, model: nuc, gitops: { argocd: { version: v3.2.0 } } }",
    "{ id: c, host: j, model: nuc, gitops: { engine: none } }",
  ]);
  const { exitCode, stderr } = await lock();
  assert.equal(exitCode, 0, stderr);
  const counts = Object.entries(locked()).map(([version, { crds, controlPlane, images }]) => [
    version,
    crds.length,
    controlPlane !== undefined,
    Object.keys(images ?? {}).length,
  ]);
  assert.deepEqual(counts, [
    ["v3.2.0", 3, true, 2],
    ["v3.2.11", 2, false, 2],
  ]);
});

test("a hub alone has its images by digest too", async (context) => {
  const fleet = `${FLEET}${HUB}gitops: { engine: none }\n`;
  const { lock, locked, registry } = await lab(context, fleet);
  assert.equal((await lock()).exitCode, 0);
  assert.deepEqual(locked()["v3.2.0"]?.images, imagesOf(registry, "v3.2.0"));
});

test("a definition or image that is not locked is told with the device and the fix", async (context) => {
  const { lock, stacks } = await lab(context, `${FLEET}hub: none\n`);
  const { exitCode, stderr } = await lock("--check");
  assert.equal(exitCode, 1);
  for (const field of ["crds (application-crd.yaml)", "images.argocd", "images.redis"])
    assert.ok(
      stderr.includes(
        `${stacks}/artifacts.lock.yaml argocd.v3.2.11.${field}: is not locked, needed by device a - run edge-fleet lock`,
      ),
      stderr,
    );
});

test("a device without a lock of its engine has no plan, and why", () => {
  const { argocd: locked = {}, ...rest } = LOCK;
  const release = locked["v3.2.11"];
  assert.ok(release !== undefined);
  for (const [crds, images, field] of [
    [[], release.images, "crds (application-crd.yaml)"],
    [release.crds.slice(0, 1), release.images, "crds (appproject-crd.yaml)"],
    [release.crds, undefined, "images.argocd"],
    [release.crds, { argocd: release.images?.argocd }, "images.redis"],
  ] as const)
    assert.throws(
      () =>
        resolveArtifacts(buildProfile({ gitops: gitopsOf("argocd") }), {
          ...rest,
          argocd: { "v3.2.11": { crds: [...crds], images } },
        }),
      new Error(
        `artifacts.lock.yaml: argocd.v3.2.11.${field} is missing, device edge-0001 needs it - run edge-fleet lock`,
      ),
    );
});

test("a mirror holds the definitions, and lists the images for a registry beside those of other fleets", async (context) => {
  const { lock, locked, stacks } = await lab(context, `${FLEET}hub: none\n`);
  const mirror = join(stacks, "..", "mirror");
  assert.equal((await lock("--mirror", mirror)).exitCode, 0);
  const list = join(mirror, "images.txt");
  const { argocd = "", redis = "" } = locked()["v3.2.11"]?.images ?? {};
  assert.deepEqual(readFileSync(list, "utf8").split("\n").filter(Boolean), [argocd, redis].sort());
  assert.ok(existsSync(join(mirror, "v3.2.11", "manifests", "crds", "application-crd.yaml")));
  assert.equal((await lock("--check", "--mirror", mirror)).exitCode, 0);
  writeFileSync(list, `example.com/other@${DIGESTS.redis}\n${redis}\n`);
  const { exitCode, stderr } = await lock("--check", "--mirror", mirror);
  assert.equal(exitCode, 1);
  assert.ok(stderr.includes(`images.txt: lacks ${argocd} - run edge-fleet lock --mirror without --check`), stderr);
  assert.equal((await lock("--mirror", mirror)).exitCode, 0);
  assert.equal(readFileSync(list, "utf8").split("\n").filter(Boolean).length, 3);
});

test("the release that a region is moved to is locked from the start, with the one that its devices have", () => {
  const next = { version: "v0.11.0", address: "next.example.com", port: 443, rings: [] };
  const gitops = gitopsOf("argocd-agent");
  const moving = { ...gitops, agent: gitops.agent && { ...gitops.agent, next } };
  const profiles = [buildProfile({ id: "a", gitops: moving }), buildProfile({ id: "b", gitops })];
  const context = { profiles, inventory: { artifacts: {} } } as unknown as LockContext;
  assert.deepEqual(
    planArgoCdAgent(context).map(({ field, usedBy }) => [field, usedBy]),
    [
      ["argocdAgent.v0.10.0.image", "2 devices, e.g. a and the hub"],
      ["argocdAgent.v0.11.0.image", "device a and the hub"],
    ],
  );
});
