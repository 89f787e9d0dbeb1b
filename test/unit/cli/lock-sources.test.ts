import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { assertionHeaders, chooseRelease, parseSnapInfo, type SnapInfo } from "../../../cli/lock/snap-store.ts";
import { DEFAULT_SHIMS, parseShims } from "../../../cli/lock/sources/wasm.ts";
import { loadInventory, resolveProfile } from "../../../components/inventory/index.ts";
import { resolveArtifacts } from "../../../components/plan/artifact.ts";
import { imagesOf } from "./argocd-release.ts";
import { edgeFleet } from "./command.ts";
import { serve } from "./http-server.ts";
import { writeInventory } from "./inventory.ts";
import { signingKey } from "./signing-key.ts";

const hash = (algorithm: string, text: string) => createHash(algorithm).update(text).digest();
const sha256 = (text: string): string => hash("sha256", text).toString("hex");

const FLEET = `fleet: acme
git: { url: "https://git.example.com/fleet.git" }
rings: [canary]
ring: canary
k3s: { version: v1.36.2+k3s1 }
k0s: { version: v1.36.3+k0s.2 }
microk8s: { version: v1.36.2 }
hub: { argocd: { version: v3.2.0 } }
gitops: { engine: none }
`;
const MODELS = "nuc: { architecture: amd64, memory: 8Gi }\npi: { architecture: arm64, memory: 4Gi }\n";
const ARGOCD = `argocd:
  v3.2.0:
    crds:
${["application-crd", "applicationset-crd", "appproject-crd"]
  .map((name) => `      - { url: argocd/${name}.yaml, sha256: ${sha256("kind: X\n")} }\n`)
  .join("")}    controlPlane: { url: argocd/namespace-install.yaml, sha256: ${sha256("kind: X\n")} }
    images: ${JSON.stringify(imagesOf("quay.io", "v3.2.0"))}
`;

/** Upstream's files by path, and an inventory of the given devices. Nothing of Argo CD's is served, all is locked. */
async function lab(context: TestContext, devices: readonly string[], files: Record<string, string>, lock = ARGOCD) {
  const server = await serve(context, (request, response) => {
    const path = decodeURIComponent((request.url ?? "").split("?")[0] ?? "");
    const content = path.startsWith("/argocd/") ? "kind: X\n" : files[path];
    response.writeHead(content === undefined ? 404 : 200).end(request.method === "HEAD" ? undefined : content);
  });
  const stacks = writeInventory(context, {
    "fleet.yaml": FLEET,
    "models.yaml": MODELS,
    "tokyo.yaml": `region: tokyo\ndevices:\n${devices.map((text) => `  - ${text}\n`).join("")}`,
    "artifacts.lock.yaml": lock,
  });
  const cache = join(stacks, "..", "cache");
  const bases = ["k3s", "k0s", "spin", "runwasi", "snap"].flatMap((name) => [
    `--${name}-base`,
    `${server.url}/${name}`,
  ]);
  return {
    server,
    stacks,
    cache,
    lock: (...args: string[]) =>
      edgeFleet([
        "lock",
        "--inventory",
        stacks,
        "--cache",
        cache,
        ...bases,
        "--argocd-base",
        `${server.url}/argocd`,
        ...args,
      ]),
    locked: () => loadInventory(stacks).artifacts,
    text: () => readFileSync(join(stacks, "artifacts.lock.yaml"), "utf8"),
    artifacts: (id: string) =>
      resolveArtifacts(resolveProfile(loadInventory(stacks), id), loadInventory(stacks).artifacts),
  };
}

test("image archives of K3s and K0s are locked where devices want them, under the name that the release has", async (context) => {
  const k0s = "/k0s/v1.36.3+k0s.2";
  const key = signingKey();
  const { lock, artifacts, server } = await lab(
    context,
    [
      "{ id: a, host: h1, model: nuc, artifacts: { images: true } }",
      "{ id: b, host: h2, model: pi }",
      "{ id: c, host: h3, model: pi, distribution: k0s, artifacts: { images: true } }",
    ],
    {
      "/k3s/v1.36.2+k3s1/sha256sum-amd64.txt": `${sha256("bin")}  k3s\n${sha256("tgz")}  k3s-airgap-images-amd64.tar.gz\n${sha256("tar")}  k3s-airgap-images-amd64.tar\n`,
      "/k3s/v1.36.2+k3s1/sha256sum-arm64.txt": `${sha256("bin2")}  k3s-arm64\n`,
      [`${k0s}/sha256sums.txt`]: `${sha256("k0s")} *k0s-v1.36.3+k0s.2-arm64\n${sha256("bundle")} *k0s-airgap-bundle-v1.36.3+k0s.2-linux-arm64.tar\n`,
      "/k3s/v1.36.2+k3s1/k3s": "bin",
      "/k3s/v1.36.2+k3s1/k3s-arm64": "bin2",
      "/k3s/v1.36.2+k3s1/k3s-airgap-images-amd64.tar.gz": "tgz",
      [`${k0s}/k0s-v1.36.3+k0s.2-arm64`]: "k0s",
      [`${k0s}/k0s-v1.36.3+k0s.2-arm64.sig`]: key.sign("k0s"),
      [`${k0s}/cosign.pub`]: key.pem,
      [`${k0s}/k0s-airgap-bundle-v1.36.3+k0s.2-linux-arm64.tar`]: "bundle",
    },
  );
  const { exitCode, stderr } = await lock();
  assert.deepEqual([exitCode, stderr], [0, ""]);
  const told = (id: string) => artifacts(id).map(({ name, sha256, installPath }) => [name, sha256, installPath]);
  assert.deepEqual(told("a"), [
    ["k3s", sha256("bin"), "/usr/local/bin/k3s"],
    ["k3s-images", sha256("tgz"), "/var/lib/rancher/k3s/agent/images/edge-fleet.tar.gz"],
  ]);
  assert.deepEqual(told("b"), [["k3s", sha256("bin2"), "/usr/local/bin/k3s"]]);
  assert.deepEqual(told("c"), [
    ["k0s", sha256("k0s"), "/usr/local/bin/k0s"],
    ["k0s-images", sha256("bundle"), "/var/lib/k0s/images/edge-fleet.tar"],
  ]);
  assert.ok(
    !server.requests.some((line) => line.startsWith("GET") && line.includes("airgap")),
    "no archive is fetched",
  );
});

test("a release without the archive says which names it was looked for", async (context) => {
  const { lock, text } = await lab(context, ["{ id: a, host: h, model: nuc, artifacts: { images: true } }"], {
    "/k3s/v1.36.2+k3s1/sha256sum-amd64.txt": `${sha256("bin")}  k3s\n`,
    "/k3s/v1.36.2+k3s1/k3s": "bin",
  });
  const { exitCode, stderr } = await lock();
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /images\.amd64: http:\S+: has no line for k3s-airgap-images-amd64\.tar\.zst, nor for k3s-airgap/,
  );
  assert.equal(text(), ARGOCD);
});

const WASM_DEVICES = ["{ id: a, host: h, model: nuc, distribution: k0s, wasm: [wasmtime, spin] }"];
const K0S_LOCK = `${ARGOCD}k0s: { v1.36.3+k0s.2: { amd64: { url: "https://example.com/k0s", sha256: ${sha256("k0s")} } } }\n`;
const K0S_FILES = {
  "/k0s/v1.36.3+k0s.2/sha256sums.txt": `${sha256("k0s")}  k0s-v1.36.3+k0s.2-amd64\n`,
  "/k0s/v1.36.3+k0s.2/k0s-v1.36.3+k0s.2-amd64": "k0s",
};
const SPIN = (version: string) => `/spin/${version}/containerd-shim-spin-v2-linux-x86_64.tar.gz`;
const WASMTIME = (version: string) =>
  `/runwasi/containerd-shim-wasmtime/${version}/containerd-shim-wasmtime-x86_64-linux-musl.tar.gz`;

test("a shim is downloaded and hashed once, kept in the cache, and its release is recorded", async (context) => {
  const files = { ...K0S_FILES, [SPIN("v0.24.0")]: "spin", [WASMTIME("v0.6.0")]: "wasmtime" };
  const { lock, locked, server, cache } = await lab(context, WASM_DEVICES, files, K0S_LOCK);
  const first = await lock("--wasm", "spin=v0.24.0");
  assert.deepEqual([first.exitCode, first.stderr], [0, ""]);
  const { spin, wasmtime } = locked().wasm ?? {};
  assert.deepEqual(spin, {
    version: "v0.24.0",
    amd64: { url: `${server.url}${SPIN("v0.24.0")}`, sha256: sha256("spin"), size: 4 },
  });
  assert.equal(wasmtime?.version, DEFAULT_SHIMS.wasmtime);
  assert.equal(readFileSync(join(cache, sha256("spin")), "utf8"), "spin");

  const before = server.requests.length;
  assert.equal((await lock()).exitCode, 0);
  assert.equal(locked().wasm?.spin?.version, "v0.24.0", "the release stays as it is locked");
  assert.ok(!server.requests.slice(before).some((line) => line.includes("shim")), "and nothing is downloaded again");
});

test("another release of a shim replaces the one before on every architecture", async (context) => {
  const old = `{ url: "https://example.com/spin", sha256: ${sha256("old")} }`;
  const lockText = `${K0S_LOCK}wasm:\n  spin:\n    # Chosen in May.\n    version: v0.22.0\n    amd64: ${old}\n    arm64: ${old}\n`;
  const files = { ...K0S_FILES, [SPIN("v0.24.0")]: "spin", [WASMTIME("v0.6.0")]: "wasmtime" };
  const { lock, locked, text } = await lab(context, WASM_DEVICES, files, lockText);
  assert.equal((await lock("--check", "--wasm", "spin=v0.24.0")).exitCode, 1);
  const { stdout, exitCode } = await lock("--wasm", "spin=v0.24.0");
  assert.equal(exitCode, 0);
  assert.match(stdout, /^wasm\.spin\.amd64 +changed /m);
  assert.deepEqual(Object.keys(locked().wasm?.spin ?? {}).sort(), ["amd64", "version"]);
  assert.deepEqual([locked().wasm?.spin?.version, locked().wasm?.spin?.amd64?.sha256], ["v0.24.0", sha256("spin")]);
  assert.match(text(), /# Chosen in May\./);
});

test("an archive whose hash upstream has published must have it", async (context) => {
  const files = { ...K0S_FILES, [SPIN("v0.23.0")]: "not it", [WASMTIME("v0.6.0")]: "wasmtime" };
  const { lock, text } = await lab(context, WASM_DEVICES, files, K0S_LOCK);
  const { exitCode, stderr } = await lock();
  assert.equal(exitCode, 1);
  assert.match(stderr, /wasm\.spin\.amd64: .*has SHA-256 [0-9a-f]{64}, upstream published eec8df96fa3a/);
  assert.equal(text(), K0S_LOCK);
});

for (const pick of ["spin", "spin=0.24.0", "wasm3=v1.0.0", "spin=v1.0.0; rm", "spin=latest"])
  test(`--wasm ${pick} is refused`, () => assert.throws(() => parseShims([pick]), /is not <runtime>=<release> - use/));

test("a release of a runtime that no device uses is refused", async (context) => {
  const { lock } = await lab(context, WASM_DEVICES, {}, K0S_LOCK);
  const { exitCode, stderr } = await lock("--wasm", "wasmer=v0.6.0");
  assert.equal(exitCode, 2);
  assert.match(stderr, /--wasm wasmer=\.\.\.: no device uses it/);
});

test("what is locked stays usable without a network; what is not says why", async (context) => {
  const lockText = `${K0S_LOCK}wasm: { spin: { version: v0.23.0, amd64: { url: "https://example.com/s", sha256: ${sha256("s")} } } }\n`;
  const { stacks, cache, text } = await lab(
    context,
    ["{ id: a, host: h, model: nuc, distribution: k0s, wasm: [spin] }"],
    {},
    lockText,
  );
  const dark = ["--k0s-base", "--argocd-base"].flatMap((option) => [option, "http://127.0.0.1:9"]);
  const args = ["lock", "--inventory", stacks, "--cache", cache, ...dark];
  const kept = await edgeFleet(args);
  assert.equal(kept.exitCode, 0);
  assert.match(
    kept.stderr,
    /^warning: k0s\.v1\.36\.3\+k0s\.2\.amd64: kept as locked, not compared - http:\S+: no answer/m,
  );
  assert.equal(text(), lockText);
  writeFileSync(join(stacks, "artifacts.lock.yaml"), ARGOCD);
  const missing = await edgeFleet(args);
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stderr, /^error: k0s\.v1\.36\.3\+k0s\.2\.amd64: http:\S+: no answer/m);
});

const KEY = "B".repeat(64);
const ROOT = "R".repeat(64);

/** One snap as the store has it, with its assertions. */
function storeFiles(url: string): Record<string, string> {
  const assertion = (headers: Record<string, string>): string =>
    `${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\n`)
      .join("")}\nAcLBsignature\n`;
  const files: Record<string, string> = {
    [`/snap/v2/assertions/account-key/${KEY}`]: assertion({
      type: "account-key",
      "public-key-sha3-384": KEY,
      "sign-key-sha3-384": ROOT,
    }),
    [`/snap/v2/assertions/account-key/${ROOT}`]: assertion({
      type: "account-key",
      "public-key-sha3-384": ROOT,
      "sign-key-sha3-384": ROOT,
    }),
  };
  const snap = (name: string, id: string, releases: readonly [string, string, number, string, string, string][]) => {
    files[`/snap/v2/snaps/info/${name}`] = JSON.stringify({
      "snap-id": id,
      "channel-map": releases.map(([track, version, revision, confinement, risk, bytes]) => {
        const digest = hash("sha3-384", bytes);
        files[`/snap/download/${id}_${revision}.snap`] = bytes;
        files[`/snap/v2/assertions/snap-revision/${digest.toString("base64url")}`] = assertion({
          type: "snap-revision",
          "snap-sha3-384": digest.toString("base64url"),
          "snap-id": id,
          "snap-revision": String(revision),
          "snap-size": String(bytes.length),
          "sign-key-sha3-384": KEY,
        });
        return {
          channel: { architecture: "amd64", track, risk },
          base: name === "microk8s" ? "core22" : null,
          confinement,
          version,
          revision,
          download: {
            url: `${url}/snap/download/${id}_${revision}.snap`,
            "sha3-384": digest.toString("hex"),
            size: bytes.length,
          },
        };
      }),
    });
    files[`/snap/v2/assertions/snap-declaration/16/${id}`] = assertion({
      type: "snap-declaration",
      "snap-id": id,
      "snap-name": name,
      "publisher-id": "canonical",
      "sign-key-sha3-384": KEY,
    });
  };
  snap("microk8s", "EaXq", [
    ["1.36", "v1.36.2", 9001, "classic", "candidate", "the candidate"],
    ["1.36", "v1.36.2", 8999, "classic", "stable", "the snap"],
    ["1.36-strict", "v1.36.2", 9100, "strict", "stable", "the strict one"],
    ["1.35", "v1.35.6", 8000, "classic", "stable", "the old one"],
  ]);
  snap("core22", "amcU", [["latest", "20260801", 2000, "strict", "stable", "the base"]]);
  snap("snapd", "PMrr", [
    ["latest", "2.77", 27000, "strict", "candidate", "the next snapd"],
    ["latest", "2.76", 26000, "strict", "stable", "snapd itself"],
  ]);
  return files;
}

test("a snap is locked with what snapd needs to trust it, and what it needs before it where no store is reached", async (context) => {
  const files: Record<string, string> = {};
  const { lock, locked, artifacts, stacks, server } = await lab(
    context,
    ["{ id: a, host: h, model: nuc, distribution: microk8s, artifacts: { delivery: push } }"],
    files,
  );
  Object.assign(files, storeFiles(server.url));
  const { exitCode, stderr } = await lock();
  assert.deepEqual([exitCode, stderr], [0, ""]);
  const entry = locked().microk8s?.["v1.36.2"]?.amd64;
  assert.equal(entry?.revision, 8999, "the stable classic one");
  assert.deepEqual([entry?.snap.sha256, entry?.snap.size], [sha256("the snap"), 8]);
  assert.deepEqual(
    artifacts("a").map(({ name, local, url }) => [name, local, url.replace(server.url, "")]),
    [
      ["microk8s", false, "/snap/download/EaXq_8999.snap"],
      ["microk8s-assertions", true, "assertions/microk8s_8999.assert"],
      ["base", false, "/snap/download/amcU_2000.snap"],
      ["base-assertions", true, "assertions/core22_2000.assert"],
      ["snapd", false, "/snap/download/PMrr_26000.snap"],
      ["snapd-assertions", true, "assertions/snapd_26000.assert"],
    ],
  );
  const text = readFileSync(join(stacks, "assertions", "microk8s_8999.assert"), "utf8");
  assert.equal(sha256(text), entry?.assertions.sha256);
  const types = text.split("\n").filter((line) => line.startsWith("type: "));
  assert.deepEqual(
    types,
    ["type: account-key", "type: snap-declaration", "type: snap-revision"],
    "without the root key",
  );
  assert.match(text, /\n\nAcLBsignature\n\ntype: snap-declaration\n/);

  const before = server.requests.length;
  assert.equal((await lock()).exitCode, 0);
  assert.ok(!server.requests.slice(before).some((line) => line.includes("/snap/")), "what is locked is kept");
  assert.equal((await lock("--check")).exitCode, 0);
  rmSync(join(stacks, "assertions", "core22_2000.assert"));
  const checked = await lock("--check");
  assert.match(
    checked.stderr,
    /core22_2000\.assert: cannot be read, needed by microk8s\.v1\.36\.2\.amd64\.baseAssertions/,
  );
});

const lies: [name: string, lie: (files: Record<string, string>) => void, message: RegExp][] = [
  [
    "other bytes than the store has signed",
    (files) => {
      files["/snap/download/EaXq_8999.snap"] = "tampered";
    },
    /has SHA3-384 [0-9a-f]{96}, the store says /,
  ],
  [
    "an assertion of another revision",
    (files) => {
      const path = `/snap/v2/assertions/snap-revision/${hash("sha3-384", "the snap").toString("base64url")}`;
      files[path] = (files[path] ?? "").replace("8999", "8998");
    },
    /snap-revision is 8998, not 8999/,
  ],
  [
    "a declaration of another snap",
    (files) => {
      const path = "/snap/v2/assertions/snap-declaration/16/EaXq";
      files[path] = (files[path] ?? "").replace("snap-name: microk8s", "snap-name: evil");
    },
    /snap-name is evil, not microk8s/,
  ],
  [
    "an assertion that is none",
    (files) => {
      files[`/snap/v2/assertions/account-key/${KEY}`] = "<html>";
    },
    /is no assertion - check the base URL/,
  ],
  [
    "metadata that is none",
    (files) => {
      files["/snap/v2/snaps/info/microk8s"] = "<html>";
    },
    /the answer is not JSON/,
  ],
];

for (const [name, lie, message] of lies) {
  test(`a store that gives ${name} is refused`, async (context) => {
    const files: Record<string, string> = {};
    const { lock, text, stacks, server } = await lab(
      context,
      ["{ id: a, host: h, model: nuc, distribution: microk8s }"],
      files,
    );
    Object.assign(files, storeFiles(server.url));
    lie(files);
    const { exitCode, stderr } = await lock();
    assert.equal(exitCode, 1);
    assert.match(stderr, message);
    assert.deepEqual([text(), existsSync(join(stacks, "assertions"))], [ARGOCD, false]);
  });
}

test("a release that no channel has names those that there are", async (context) => {
  const files: Record<string, string> = {};
  const device = "{ id: a, host: h, model: nuc, distribution: microk8s, microk8s: { version: v1.36.1 } }";
  const { lock, server } = await lab(context, [device], files);
  Object.assign(files, storeFiles(server.url));
  const { stderr } = await lock();
  assert.match(stderr, /no channel has v1\.36\.1 for amd64 - use one of v1\.35\.6, v1\.36\.2/);
});

test("a release is taken from the safest channel, and there the newest", () => {
  const info = JSON.parse(storeFiles("https://store.example")["/snap/v2/snaps/info/microk8s"] ?? "") as SnapInfo;
  assert.equal(chooseRelease(info, "microk8s", "v1.36.2", "amd64")?.revision, 8999);
  assert.equal(chooseRelease(info, "microk8s", "v1.36.2", "arm64"), undefined);
  const edge = info["channel-map"].map((entry) => ({ ...entry, channel: { ...entry.channel, risk: "edge" } }));
  assert.equal(chooseRelease({ ...info, "channel-map": edge }, "microk8s", "v1.36.2", "amd64")?.revision, 9001);
});

for (const [name, value, message] of [
  ["an id that is a path", { "snap-id": "../x", "channel-map": [] }, /snap-id: /],
  ["no channels", { "snap-id": "x" }, /channel-map: /],
] as const)
  test(`metadata with ${name} is refused with its field`, () =>
    assert.throws(() => parseSnapInfo(JSON.stringify(value), "https://store.example/info"), message));

test("headers of an assertion end at the first empty line, and lists among them are left out", () => {
  const text = "type: snap-declaration\nplugs:\n  network: true\nsnap-name: x\n\ntype: evil\n";
  assert.deepEqual(Object.fromEntries(assertionHeaders(text)), { type: "snap-declaration", "snap-name": "x" });
});
