import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { decide } from "../../../cli/lock/decide.ts";
import { planLock } from "../../../cli/lock/plan.ts";
import { findHash } from "../../../cli/lock/resolve.ts";
import { loadInventory } from "../../../components/inventory/index.ts";
import { answerAsRegistry, imagesOf, installOf } from "./argocd-release.ts";
import { edgeFleet } from "./command.ts";
import { serve } from "./http-server.ts";
import { writeInventory } from "./inventory.ts";

const FLEET = `fleet: acme
git: { url: "https://git.example.com/fleet.git" }
rings: [canary]
ring: canary
k3s: { version: v1.36.2+k3s1 }
hub: { argocd: { version: v3.2.0 } }
gitops: { engine: none }
`;
const MODELS = `nuc: { architecture: amd64, memory: 4Gi }
pi: { architecture: arm64, memory: 4Gi }
old: { architecture: arm64, memory: 4Gi, k3s: { version: v1.35.1+k3s1 } }
`;
const TOKYO = `region: tokyo
devices:
  - { id: a, host: 10.0.0.1, model: nuc }
  - { id: b, host: 10.0.0.2, model: pi }
  - { id: c, host: 10.0.0.3, model: pi }
`;
/** A lock file with comments, an entry of a version that no device uses, and none that one does. */
const LOCK = `# Reviewed by two people.
k3s:
  # Kept for a rollback.
  v1.34.2+k3s1:
    amd64: { url: "https://example.com/k3s", sha256: ${"a".repeat(64)} } # from the old mirror
`;

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** What the release server has, by path. */
const RELEASES: Readonly<Record<string, string>> = {
  "/v1.36.2%2Bk3s1/k3s": "k3s for amd64",
  "/v1.36.2%2Bk3s1/k3s-arm64": "k3s for arm64",
  "/v1.36.2%2Bk3s1/sha256sum-amd64.txt": `${"0".repeat(64)}  k3s-images.txt\n${sha256("k3s for amd64")}  k3s\n`,
  "/v1.36.2%2Bk3s1/sha256sum-arm64.txt": `${sha256("k3s for arm64")}  k3s-arm64\n${"0".repeat(64)}  k3s\n`,
  "/v3.2.0/manifests/crds/application-crd.yaml": "kind: A\n",
  "/v3.2.0/manifests/crds/applicationset-crd.yaml": "kind: B\n",
  "/v3.2.0/manifests/crds/appproject-crd.yaml": "kind: C\n",
};

const INSTALL = "/v3.2.0/manifests/namespace-install.yaml";

/** A release server whose files can be replaced, and an inventory to lock against it. */
async function lab(context: TestContext, files: Readonly<Record<string, string>> = {}) {
  const releases: Record<string, string> = { ...RELEASES };
  const server = await serve(context, (request, response) => {
    if (answerAsRegistry(request, response)) return;
    const content = releases[request.url ?? ""];
    if (content === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "content-length": Buffer.byteLength(content) }).end(content);
  });
  const registry = new URL(server.url).host;
  releases[INSTALL] = installOf(registry, "v3.2.0");
  const inventory = { "fleet.yaml": FLEET, "models.yaml": MODELS, "tokyo.yaml": TOKYO, "artifacts.lock.yaml": LOCK };
  const stacks = writeInventory(context, { ...inventory, ...files });
  const run = (...args: string[]) => edgeFleet(["lock", "--inventory", stacks, ...args]);
  return {
    releases,
    stacks,
    server,
    registry,
    run,
    lock: (...args: string[]) => run("--k3s-base", server.url, "--argocd-base", `${server.url}/`, ...args),
    text: () => readFileSync(join(stacks, "artifacts.lock.yaml"), "utf8"),
    locked: () => loadInventory(stacks).artifacts,
  };
}

test("lock pins every release and architecture in use, and keeps comments and entries of other versions", async (context) => {
  const { lock, locked, text, server, stacks, registry, releases } = await lab(context);
  const { exitCode, stdout, stderr } = await lock();
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.match(stdout, /^k3s\.v1\.36\.2\+k3s1\.arm64 +added /m);
  const base = server.url;
  assert.deepEqual(locked(), {
    k3s: {
      "v1.34.2+k3s1": { amd64: { url: "https://example.com/k3s", sha256: "a".repeat(64) } },
      "v1.36.2+k3s1": {
        amd64: { url: `${base}/v1.36.2%2Bk3s1/k3s`, sha256: sha256("k3s for amd64"), size: 13 },
        arm64: { url: `${base}/v1.36.2%2Bk3s1/k3s-arm64`, sha256: sha256("k3s for arm64"), size: 13 },
      },
    },
    argocd: {
      "v3.2.0": {
        crds: ["application", "applicationset", "appproject"].map((kind, index) => ({
          url: `${base}/v3.2.0/manifests/crds/${kind}-crd.yaml`,
          sha256: sha256(`kind: ${"ABC"[index]}\n`),
          size: 8,
        })),
        controlPlane: {
          url: `${base}${INSTALL}`,
          sha256: sha256(releases[INSTALL] ?? ""),
          size: releases[INSTALL]?.length,
        },
        images: imagesOf(registry, "v3.2.0"),
      },
    },
  });
  for (const comment of ["# Reviewed by two people.", "# Kept for a rollback.", "# from the old mirror"])
    assert.ok(text().includes(comment), text());
  assert.deepEqual(
    readdirSync(stacks).filter((name) => name.endsWith(".tmp")),
    [],
  );
});

test("a second run writes nothing, and a binary is never downloaded", async (context) => {
  const { lock, text, server } = await lab(context);
  await lock();
  const before = text();
  const again = await lock("--json");
  assert.equal(again.exitCode, 0);
  const report = JSON.parse(again.stdout) as { written: boolean; artifacts: { state: string }[] };
  assert.deepEqual([report.written, new Set(report.artifacts.map(({ state }) => state))], [false, new Set(["kept"])]);
  assert.equal(text(), before);
  assert.ok(server.requests.includes("HEAD /v1.36.2%2Bk3s1/k3s"));
  assert.ok(!server.requests.includes("GET /v1.36.2%2Bk3s1/k3s"));
});

test("a missing lock file is written whole", async (context) => {
  const { lock, locked, stacks, text } = await lab(context);
  rmSync(join(stacks, "artifacts.lock.yaml"));
  assert.equal((await lock()).exitCode, 0);
  assert.match(text(), /^# What each version is, byte for byte\. Written by `edge-fleet lock`/);
  assert.equal(locked().k3s?.["v1.36.2+k3s1"]?.arm64?.sha256, sha256("k3s for arm64"));
});

test("a release whose hash is another one than locked is refused, and nothing at all is written", async (context) => {
  const { lock, releases, text } = await lab(context);
  await lock();
  const before = text();
  releases["/v1.36.2%2Bk3s1/sha256sum-amd64.txt"] = `${"e".repeat(64)}  k3s\n`;
  releases["/v3.2.0/manifests/crds/application-crd.yaml"] = "kind: Z\n";
  const { exitCode, stderr } = await lock();
  assert.equal(exitCode, 1);
  assert.match(stderr, /k3s\.v1\.36\.2\+k3s1\.amd64: locked is [0-9a-f]{64}, but http:\S+ now is e{64} - /);
  assert.match(stderr, /argocd\.v3\.2\.0\.crds \(application-crd\.yaml\): locked is /);
  assert.equal(text(), before);
});

test("--accept-changed replaces the hash and keeps the comments of the entry", async (context) => {
  const { lock, locked, releases, stacks, text } = await lab(context);
  await lock();
  writeFileSync(join(stacks, "artifacts.lock.yaml"), text().replace(/^( +)size: 13$/m, "$1size: 13 # bytes"));
  releases["/v1.36.2%2Bk3s1/sha256sum-amd64.txt"] = `${"e".repeat(64)}  k3s\n`;
  releases["/v1.36.2%2Bk3s1/k3s"] = "rebuilt";
  const { exitCode, stdout } = await lock("--accept-changed");
  assert.equal(exitCode, 0);
  assert.match(stdout, /^k3s\.v1\.36\.2\+k3s1\.amd64 +changed /m);
  const { sha256: hash, size } = locked().k3s?.["v1.36.2+k3s1"]?.amd64 ?? {};
  assert.deepEqual([hash, size], ["e".repeat(64), 7]);
  assert.match(text(), /size: 7 # bytes/);
});

test("a locked URL moves only to a base that is given on the command line", () => {
  const file = { url: "https://mirror.example.com/k3s", sha256: "a".repeat(64) };
  const used = {
    project: "k3s",
    path: ["k3s", "v1.36.2+k3s1", "amd64"],
    field: "k3s.v1.36.2+k3s1.amd64",
    usedBy: "device a",
    url: "https://upstream.example.com/k3s",
    hash: { kind: "file" },
    locked: file,
  } as const;
  const upstream = { file: { ...file, url: used.url }, scalars: [] };
  assert.equal(decide(used, upstream, { acceptChanged: false, moveUrl: () => false }).state, "kept");
  assert.equal(decide(used, upstream, { acceptChanged: false, moveUrl: () => true }).state, "moved");
});

test("one release that cannot be resolved keeps everything from being written, and every failure is named", async (context) => {
  const { lock, text } = await lab(context, { "tokyo.yaml": `${TOKYO}  - { id: d, host: 10.0.0.4, model: old }\n` });
  const { exitCode, stderr } = await lock();
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /^error: k3s\.v1\.35\.1\+k3s1\.arm64: http:\S+\/v1\.35\.1%2Bk3s1\/sha256sum-arm64\.txt: HTTP 404 - no such release/m,
  );
  assert.equal(text(), LOCK);
});

test("--check lists what is used and not locked, asks no server, and ends with 0 once all is locked", async (context) => {
  const { lock, run, server, text } = await lab(context);
  const missing = await run("--check");
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stdout, /0 of 8 artifacts locked/);
  assert.match(missing.stderr, /k3s\.v1\.36\.2\+k3s1\.arm64: is not locked, needed by 2 devices, e\.g\. b - run/);
  assert.match(missing.stderr, /argocd\.v3\.2\.0\.crds \(appproject-crd\.yaml\): is not locked, needed by the hub/);
  assert.deepEqual([server.requests, text()], [[], LOCK]);
  await lock();
  const all = await run("--check", "--json");
  assert.equal(all.exitCode, 0);
  assert.deepEqual((JSON.parse(all.stdout) as { missing: unknown }).missing, []);
});

test("manifests beside the lock file count as locked, and a missing one is added behind them", (context) => {
  const hash = "b".repeat(64);
  const lock = `argocd:
  v3.2.0:
    crds:
      - { url: argocd/appproject-crd.yaml, sha256: ${hash} }
    controlPlane: { url: argocd/namespace-install.yaml, sha256: ${hash} }
`;
  const stacks = writeInventory(context, { "fleet.yaml": FLEET, "artifacts.lock.yaml": lock });
  const places = planLock(loadInventory(stacks)).map(({ path, locked }) => [path.slice(2).join("."), locked?.sha256]);
  assert.deepEqual(places, [
    ["crds.1", undefined],
    ["crds.2", undefined],
    ["crds.0", hash],
    ["controlPlane", hash],
    ["images.argocd", undefined],
    ["images.redis", undefined],
  ]);
});

test("releases come from the projects' own servers unless told otherwise", (context) => {
  const stacks = writeInventory(context, { "fleet.yaml": FLEET, "models.yaml": MODELS, "tokyo.yaml": TOKYO });
  assert.deepEqual(
    planLock(loadInventory(stacks)).map(({ url, hash }) => [url, hash.kind === "list" ? hash.url : hash.kind]),
    [
      [
        "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s",
        "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/sha256sum-amd64.txt",
      ],
      [
        "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s-arm64",
        "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/sha256sum-arm64.txt",
      ],
      ...["crds/application-crd", "crds/applicationset-crd", "crds/appproject-crd", "namespace-install"].map((name) => [
        `https://raw.githubusercontent.com/argoproj/argo-cd/v3.2.0/manifests/${name}.yaml`,
        "file",
      ]),
      ["argocd", "image"],
      ["redis", "image"],
    ],
  );
});

const refusedBases: [base: string, message: RegExp][] = [
  ["http://mirror.example.com/k3s", /--k3s-base is not an https URL/],
  ["mirror.example.com", /--k3s-base is not an https URL/],
  ["https://user:secret@mirror.example.com/k3s", /--k3s-base carries credentials/],
  ["https://mirror.example.com/k3s?token=secret", /--k3s-base has a query/],
];

for (const [base, message] of refusedBases) {
  test(`the base ${base} is refused without repeating a secret`, async (context) => {
    const { run } = await lab(context);
    const { exitCode, stderr } = await run("--k3s-base", base);
    assert.equal(exitCode, 2);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /secret/);
  });
}

const lists: [name: string, list: string, expected: string | undefined][] = [
  ["text mode", `${"a".repeat(64)}  k3s\n`, "a".repeat(64)],
  ["binary mode and CRLF", `${"a".repeat(64)} *k3s\r\n`, "a".repeat(64)],
  ["another file whose name ends the same", `${"a".repeat(64)}  dist/k3s\n`, undefined],
  ["a hash of another length", `${"a".repeat(40)}  k3s\n`, undefined],
  ["two lines that contradict each other", `${"a".repeat(64)}  k3s\n${"b".repeat(64)}  k3s\n`, undefined],
  ["an error page", "<html>k3s</html>", undefined],
];

for (const [name, list, expected] of lists)
  test(`hash of a file from a list: ${name}`, () => assert.equal(findHash(list, "k3s"), expected));
