import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveArtifact } from "../../../components/device/artifact.ts";
import { ARTIFACTS, buildProfile, LOCK } from "./profile.ts";

const UPSTREAM = "/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s";

test("a locked artifact keeps its hash and size, and its + is escaped", () => {
  assert.deepEqual(resolveArtifact(buildProfile(), LOCK), {
    url: `https://github.com${UPSTREAM}`,
    sha256: "a".repeat(64),
    size: 73_400_320,
    delivery: "fetch",
    storePath: `/var/lib/edge-fleet/artifacts/${"a".repeat(64)}`,
  });
});

test("an artifact without a size has no size", () => {
  assert.equal("size" in resolveArtifact(buildProfile({ architecture: "arm64" }), LOCK), false);
});

for (const [mirror, url] of [
  ["https://mirror.example.com", `https://mirror.example.com${UPSTREAM}`],
  ["https://mirror.example.com/edge", `https://mirror.example.com/edge${UPSTREAM}`],
  ["http://10.0.0.5:8080/edge/", `http://10.0.0.5:8080/edge${UPSTREAM}`],
] as const) {
  test(`the mirror ${mirror} replaces scheme and host`, () => {
    const artifacts = { ...ARTIFACTS, delivery: "fetch", mirror } as const;
    assert.equal(resolveArtifact(buildProfile({ artifacts }), LOCK).url, url);
  });
}

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
    "a URL that no device can fetch",
    buildProfile(),
    { k3s: { "v1.36.2+k3s1": { amd64: { url: "k3s/k3s", sha256: "a".repeat(64) } } } },
    "artifacts.lock.yaml: k3s.v1.36.2+k3s1.amd64.url is not an http(s) URL, device edge-0001 - run edge-fleet lock",
  ],
  [
    "a mirror with a password, without showing it",
    buildProfile({ artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: "https://user:hunter2@mirror.example.com" } }),
    LOCK,
    "device edge-0001: artifacts.mirror carries credentials - use a mirror without, or artifacts.delivery: push",
  ],
] as const) {
  test(`${name} is refused`, () => {
    assert.throws(() => resolveArtifact(profile, lock), { message });
  });
}
