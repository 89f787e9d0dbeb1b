import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { deviceProgram } from "../../../components/device/program.ts";
import { renderScript } from "../../../components/device/script.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { payloadText, renderPayload } from "../../../components/plan/payload.ts";
import { assertGolden } from "../../golden.ts";
import { ARTIFACTS, buildProfile, gitopsOf, LOCK, MODELS } from "./profile.ts";

const base = buildProfile();
const hashOf = (changes: Partial<Profile>): string => renderPayload(buildProfile(changes), LOCK).hash;
const MIRROR = { endpoints: ["https://mirror.example.com"], username: "edge", passwordSecret: "mirror" };
const REGISTRIES = { "docker.io": MIRROR };

for (const [name, model] of Object.entries(MODELS)) {
  test(`the payload of a ${name} is as reviewed`, () => {
    assertGolden(`device/${name}.payload`, payloadText(renderPayload(buildProfile(model), LOCK)));
  });
}

test("the program is as reviewed, and ShellCheck, dash and busybox accept it", () => {
  const { text } = deviceProgram();
  assertGolden("device/edge-fleet-device", text);
  for (const command of [
    ["shellcheck", "-s", "sh", "-e", "SC2034,SC2086,SC2317,SC2329,SC2153,SC2046,SC2012", "-"],
    ["dash", "-n"],
    ["busybox", "ash", "-n"],
  ])
    assertAccepts(command, text);
});

test("no two parts of the program define a function of one name", () => {
  const names = [...deviceProgram().text.matchAll(/^([a-z0-9_]+)\(\) [({]/gm)].map(([, name]) => name);
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
});

function assertAccepts([command = "", ...rest]: readonly string[], input: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, rest, { input, encoding: "utf8" });
  assert.equal(status, 0, `${command}: ${error?.message ?? ""}${stdout}${stderr}`);
}

test("the same profile gives the same bytes", () => {
  const [one, other] = [renderPayload(buildProfile(), LOCK), renderPayload(buildProfile(), LOCK)];
  assert.deepEqual(one, other);
});

for (const [what, changes] of [
  ["a setting of K3s", { k3s: { ...base.k3s, flannelBackend: "vxlan" } }],
  ["the ring", { ring: "broad" }],
  ["the memory", { memoryMiB: 2048 }],
  ["the architecture, hence the binary", { architecture: "arm64" }],
  ["the pull engine", { gitops: gitopsOf("flux") }],
] satisfies [string, Partial<Profile>][]) {
  test(`${what} is part of the desired state`, () => assert.notEqual(hashOf(changes), hashOf({})));
}

for (const [what, changes] of [
  ["the mirror", { artifacts: { ...ARTIFACTS, mirror: "https://mirror.example.com" } }],
  ["the delivery", { artifacts: { ...ARTIFACTS, delivery: "push" } }],
  ["the bandwidth", { artifacts: { ...ARTIFACTS, maxKiBPerSecond: 100 } }],
  ["the readiness timeout", { readiness: { timeoutSeconds: 60 } }],
  ["the host name", { host: "10.0.0.7" }],
] satisfies [string, Partial<Profile>][]) {
  test(`${what} is not part of the desired state`, () => assert.equal(hashOf(changes), hashOf({})));
}

test("a password changes the payload but not the hash, which is no secret", () => {
  const [one, other] = ["first-password", "other-password"].map((mirror) =>
    renderPayload(buildProfile({ registries: REGISTRIES }), LOCK, { secrets: { mirror } }),
  );
  assert.ok(one !== undefined && other !== undefined);
  assert.deepEqual([one.hash, one.body], [other.hash, other.body]);
  assert.notEqual(one.secretFiles, other.secretFiles);
  assert.equal(renderPayload(buildProfile(), LOCK).secretFiles, "");
});

test("a device that fetches is told the URL, one that is pushed to is not", () => {
  const lines = (artifacts: Profile["artifacts"]) =>
    payloadText(renderPayload(buildProfile({ artifacts }), LOCK)).match(/^artifact .*$/gm);
  const sum = "a".repeat(64);
  const url = "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s";
  assert.deepEqual(lines(ARTIFACTS), [`artifact binary ${sum} 73400320 0755 /usr/local/bin/k3s ${url}`]);
  assert.deepEqual(lines({ ...ARTIFACTS, delivery: "push" }), [
    `artifact binary ${sum} 73400320 0755 /usr/local/bin/k3s -`,
  ]);
});

test("a value that the device would refuse is refused here, with the device and the setting", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 20, unit: "binary" }), (value) => {
      const render = () => payloadText(renderPayload(buildProfile({ labels: { site: value } }), LOCK));
      if (/^[A-Za-z0-9_./:@%+,= -]*$/.test(value)) assert.ok(render().includes(`site=${value}`));
      else assert.throws(render, /^Error: device edge-0001: LABELS has a character/);
    }),
  );
});

test("the script for a person holds program and payload, and refuses to run with a stand-in for a secret", () => {
  const payload = renderPayload(base, LOCK);
  const script = renderScript(base.id, payload);
  assert.ok(script.includes(deviceProgram().text) && script.includes(payloadText(payload)));
  for (const shell of [
    ["dash", "-n"],
    ["busybox", "ash", "-n"],
  ])
    assertAccepts(shell, script);
  const secrets = { mirror: "secret-of-edge-fleet.mirror" };
  const secret = renderPayload(buildProfile({ registries: REGISTRIES }), LOCK, { secrets });
  const { status, stderr } = spawnSync("sh", [], { input: renderScript(base.id, secret), encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, /where a secret belongs - replace each of them/);
});
