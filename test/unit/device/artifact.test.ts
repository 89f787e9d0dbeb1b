import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import { type ResolvedArtifact, resolveArtifacts } from "../../../components/plan/artifact.ts";
import { ARTIFACTS, buildProfile, LOCK } from "./profile.ts";

const UPSTREAM = "/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s";

/** A locked file whose hash repeats one digit. */
const file = (url: string, digit: string) => ({ url, sha256: digit.repeat(64) });

const FULL: ArtifactsLock = {
  k3s: {
    "v1.36.2+k3s1": {
      ...LOCK.k3s?.["v1.36.2+k3s1"],
      images: { amd64: file("https://example.com/k3s-airgap-images-amd64.tar.zst", "1") },
    },
  },
  k0s: {
    "v1.36.3+k0s.2": {
      arm64: file("https://example.com/k0s-v1.36.3+k0s.2-arm64", "2"),
      images: { arm64: file("https://example.com/k0s-airgap-bundle-arm64", "3") },
    },
  },
  microk8s: {
    "v1.36.2": {
      amd64: {
        revision: 9001,
        snap: file("https://example.com/microk8s_9001.snap", "4"),
        assertions: file("assertions/microk8s_9001.assert", "5"),
        base: file("https://example.com/core22_7.snap", "6"),
        baseAssertions: file("assertions/core22_7.assert", "7"),
        snapd: file("https://example.com/snapd_8.snap", "a"),
        snapdAssertions: file("assertions/snapd_8.assert", "b"),
      },
    },
  },
  wasm: {
    spin: { version: "v0.23.0", amd64: file("https://example.com/spin.tar.gz", "8") },
    wasmtime: { version: "v0.6.0", amd64: file("https://example.com/wasmtime.tar.gz", "9") },
  },
};

const k0s = buildProfile({
  distribution: "k0s",
  architecture: "arm64",
  k0s: { ...buildProfile().k0s, version: "v1.36.3+k0s.2" },
});
const microk8s = buildProfile({ distribution: "microk8s", microk8s: { version: "v1.36.2", addons: ["dns"] } });

test("a locked binary keeps its hash and size, and its + is escaped", () => {
  assert.deepEqual(resolveArtifacts(buildProfile(), LOCK), [
    {
      name: "k3s",
      kind: "binary",
      url: `https://github.com${UPSTREAM}`,
      local: false,
      sha256: "a".repeat(64),
      size: 73_400_320,
      delivery: "fetch",
      storePath: `/var/lib/edge-fleet/artifacts/${"a".repeat(64)}`,
      installPath: "/usr/local/bin/k3s",
      mode: "0755",
    },
  ]);
});

test("an artifact without a size has no size", () => {
  const [binary] = resolveArtifacts(buildProfile({ architecture: "arm64" }), LOCK);
  assert.ok(binary !== undefined);
  assert.equal("size" in binary, false);
});

const images = { ...ARTIFACTS, images: true } as const;
const push = { ...ARTIFACTS, delivery: "push" } as const;
const lists: [name: string, profile: ReturnType<typeof buildProfile>, expected: string[]][] = [
  [
    "K3s with images and two runtimes",
    buildProfile({ artifacts: images, wasm: ["wasmtime", "spin"] }),
    [
      "k3s binary /usr/local/bin/k3s 0755 fetch",
      "k3s-images images /var/lib/rancher/k3s/agent/images/edge-fleet.tar.zst 0644 fetch",
      "wasmtime shim /usr/local/bin/containerd-shim-wasmtime-v1 0755 fetch",
      "spin shim /usr/local/bin/containerd-shim-spin-v2 0755 fetch",
    ],
  ],
  ["K0s", k0s, ["k0s binary /usr/local/bin/k0s 0755 fetch"]],
  [
    "K0s with a bundle whose name has no ending",
    { ...k0s, artifacts: images },
    ["k0s binary /usr/local/bin/k0s 0755 fetch", "k0s-images images /var/lib/k0s/images/edge-fleet.tar 0644 fetch"],
  ],
  [
    "MicroK8s from a store: assertions are pushed",
    microk8s,
    ["microk8s snap - fetch", "microk8s-assertions assertions - push"],
  ],
  [
    "MicroK8s by push: with its base, and with snapd's own snap for the system",
    { ...microk8s, artifacts: push, wasm: ["spin"] },
    [
      "microk8s snap - push",
      "microk8s-assertions assertions - push",
      "base snap - push",
      "base-assertions assertions - push",
      "snapd snap - push",
      "snapd-assertions assertions - push",
      "spin shim /usr/local/bin/containerd-shim-spin-v2 0755 push",
    ],
  ],
];

for (const [name, profile, expected] of lists) {
  test(`what a device needs: ${name}`, () => {
    const words = ({ name, kind, installPath, mode, delivery }: ResolvedArtifact): string =>
      [name, kind, installPath ?? "-", mode, delivery].filter((word) => word !== undefined).join(" ");
    assert.deepEqual(resolveArtifacts(profile, FULL).map(words), expected);
  });
}

for (const [mirror, url] of [
  ["https://mirror.example.com", `https://mirror.example.com${UPSTREAM}`],
  ["https://mirror.example.com/edge", `https://mirror.example.com/edge${UPSTREAM}`],
  ["http://10.0.0.5:8080/edge/", `http://10.0.0.5:8080/edge${UPSTREAM}`],
] as const) {
  test(`the mirror ${mirror} replaces scheme and host`, () => {
    const artifacts = { ...ARTIFACTS, delivery: "fetch", mirror } as const;
    assert.equal(resolveArtifacts(buildProfile({ artifacts }), LOCK)[0]?.url, url);
  });
}

test("a mirror serves every artifact, those beside the lock file too", () => {
  const artifacts = { ...images, mirror: "https://mirror.example.com/edge" };
  assert.deepEqual(
    resolveArtifacts({ ...microk8s, artifacts, wasm: ["spin"] }, FULL).map(({ url, local }) => [url, local]),
    [
      "microk8s_9001.snap",
      "assertions/microk8s_9001.assert",
      "core22_7.snap",
      "assertions/core22_7.assert",
      "snapd_8.snap",
      "assertions/snapd_8.assert",
      "spin.tar.gz",
    ].map((path) => [`https://mirror.example.com/edge/${path}`, false]),
  );
});

for (const [name, profile, lock, message] of [
  [
    "a release that is not locked",
    buildProfile({ k3s: { ...buildProfile().k3s, version: "v1.37.1+k3s1" } }),
    LOCK,
    "artifacts.lock.yaml: k3s.v1.37.1+k3s1.amd64 is missing, device edge-0001 needs it - run edge-fleet lock",
  ],
  [
    "an architecture that is not locked",
    buildProfile({ architecture: "arm64" }),
    { k3s: { "v1.36.2+k3s1": { amd64: { url: "https://example.com/k3s", sha256: "a".repeat(64) } } } },
    "artifacts.lock.yaml: k3s.v1.36.2+k3s1.arm64 is missing, device edge-0001 needs it - run edge-fleet lock",
  ],
  [
    "an image archive that is not locked",
    buildProfile({ artifacts: images }),
    LOCK,
    "artifacts.lock.yaml: k3s.v1.36.2+k3s1.images.amd64 is missing, device edge-0001 needs it - run edge-fleet lock",
  ],
  [
    "a K0s release that is not locked",
    k0s,
    LOCK,
    "artifacts.lock.yaml: k0s.v1.36.3+k0s.2.arm64 is missing, device edge-0001 needs it - run edge-fleet lock",
  ],
  [
    "a snap that is not locked",
    microk8s,
    LOCK,
    "artifacts.lock.yaml: microk8s.v1.36.2.amd64 is missing, device edge-0001 needs it - run edge-fleet lock",
  ],
  [
    "a base snap that is not locked",
    { ...microk8s, artifacts: push },
    { microk8s: { "v1.36.2": { amd64: { ...FULL.microk8s?.["v1.36.2"]?.amd64, base: undefined } } } } as never,
    "artifacts.lock.yaml: microk8s.v1.36.2.amd64.base is missing, device edge-0001 needs it - run edge-fleet lock",
  ],
  [
    "a snapd snap that is not locked",
    { ...microk8s, artifacts: push },
    { microk8s: { "v1.36.2": { amd64: { ...FULL.microk8s?.["v1.36.2"]?.amd64, snapd: undefined } } } } as never,
    "artifacts.lock.yaml: microk8s.v1.36.2.amd64.snapd is missing, device edge-0001 needs it - run edge-fleet lock",
  ],
  [
    "a runtime that is not locked for the architecture",
    buildProfile({ architecture: "arm64", wasm: ["spin"] }),
    FULL,
    "artifacts.lock.yaml: wasm.spin.arm64 is missing, device edge-0001 needs it - run edge-fleet lock",
  ],
  [
    "a URL that no device can fetch",
    buildProfile(),
    { k3s: { "v1.36.2+k3s1": { amd64: { url: "k3s/k3s", sha256: "a".repeat(64) } } } },
    "artifacts.lock.yaml: k3s.v1.36.2+k3s1.amd64.url is not an http(s) URL, device edge-0001 - run edge-fleet lock",
  ],
  [
    "assertions outside the inventory's folder",
    microk8s,
    {
      microk8s: {
        "v1.36.2": { amd64: { ...FULL.microk8s?.["v1.36.2"]?.amd64, assertions: file("../../etc/shadow", "5") } },
      },
    } as never,
    "artifacts.lock.yaml: microk8s.v1.36.2.amd64.assertions.url is not an http(s) URL, device edge-0001 - run edge-fleet lock",
  ],
  [
    "a mirror with a password, without showing it",
    buildProfile({ artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: "https://user:hunter2@mirror.example.com" } }),
    LOCK,
    "device edge-0001: artifacts.mirror carries credentials - use a mirror without, or artifacts.delivery: push",
  ],
] as const) {
  test(`${name} is refused`, () => {
    assert.throws(() => resolveArtifacts(profile, lock), { message });
  });
}
