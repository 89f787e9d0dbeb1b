import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { deviceProgram, PROGRAM_PATH } from "../../../components/device/program.ts";
import { renderScript } from "../../../components/device/script.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { pushedArtifacts, resolveArtifacts } from "../../../components/plan/artifact.ts";
import {
  ApplyResultPattern,
  applyCommand,
  packPayload,
  parseApplyResult,
  removeCommand,
  renderPayload,
} from "../../../components/plan/payload.ts";
import { assertGolden } from "../../golden.ts";
import { ARTIFACTS, buildProfile, LOCK, MODELS } from "./profile.ts";

const base = buildProfile();
const hashOf = (changes: Partial<Profile>): string => renderPayload(buildProfile(changes), LOCK).hash;
const MIRROR = { endpoints: ["https://mirror.example.com"], username: "edge", passwordSecret: "mirror" };
const REGISTRIES = { "docker.io": MIRROR };

for (const [name, model] of Object.entries(MODELS)) {
  test(`the payload of a ${name} is as reviewed`, () => {
    assertGolden(`device/${name}.payload`, renderPayload(buildProfile(model), LOCK).text);
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
  assert.deepEqual(packPayload(one, "tokyo"), packPayload(other, "tokyo"));
});

for (const [what, changes] of [
  ["a setting of K3s", { k3s: { ...base.k3s, flannelBackend: "vxlan" } }],
  ["the ring", { ring: "broad" }],
  ["the memory", { memoryMiB: 2048 }],
  ["the architecture, hence the binary", { architecture: "arm64" }],
  ["the pull engine", { gitops: { engine: "flux" } }],
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
  assert.ok(one?.secret && other?.secret);
  assert.equal(one.hash, other.hash);
  assert.notEqual(one.text, other.text);
  assert.equal(renderPayload(buildProfile(), LOCK).secret, false);
});

test("a device that fetches is told the URL, one that is pushed to is not", () => {
  const lines = (artifacts: Profile["artifacts"]) =>
    renderPayload(buildProfile({ artifacts }), LOCK).text.match(/^artifact .*$/gm);
  const sum = "a".repeat(64);
  const url = "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s";
  assert.deepEqual(lines(ARTIFACTS), [`artifact binary ${sum} 73400320 0755 /usr/local/bin/k3s ${url}`]);
  assert.deepEqual(lines({ ...ARTIFACTS, delivery: "push" }), [
    `artifact binary ${sum} 73400320 0755 /usr/local/bin/k3s -`,
  ]);
});

test("what is pushed is told apart by its bytes alone", () => {
  const pushed = (changes: Partial<Profile>) => pushedArtifacts(resolveArtifacts(buildProfile(changes), LOCK));
  const push = { ...ARTIFACTS, delivery: "push" } as const;
  assert.equal(pushed({}), "");
  assert.match(pushed({ artifacts: push }), /^[0-9a-f]{16}$/);
  assert.equal(pushed({ artifacts: push, ring: "broad", id: "other" }), pushed({ artifacts: push }));
  assert.notEqual(pushed({ artifacts: push, architecture: "arm64" }), pushed({ artifacts: push }));
});

test("a value that the device would refuse is refused here, with the device and the setting", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 20, unit: "binary" }), (value) => {
      const render = () => renderPayload(buildProfile({ labels: { site: value } }), LOCK).text;
      if (/^[A-Za-z0-9_./:@%+,= -]*$/.test(value)) assert.ok(render().includes(`site=${value}`));
      else assert.throws(render, /^Error: device edge-0001: LABELS has a character/);
    }),
  );
});

test("the remote commands are short, the same for every device of a region, and sound", () => {
  const commands = Object.values(MODELS).map((model, index) => {
    const profile = buildProfile({ ...model, id: `edge-${index}`, readiness: { timeoutSeconds: 100 + index } });
    return packPayload(renderPayload(profile, LOCK), "tokyo").create;
  });
  assert.equal(new Set(commands).size, 1);
  assert.ok((commands[0] ?? "").length < 600);
  for (const command of [commands[0] ?? "", removeCommand("edge-0001")])
    assertAccepts(["shellcheck", "-s", "sh", "-e", "SC2086", "-"], command);
});

test("a program that is missing or another one is named with its mend, and nothing is run", () => {
  const create = applyCommand("tokyo", "0".repeat(64)).replaceAll(PROGRAM_PATH, "/bin/true");
  const { status, stdout } = spawnSync("sh", ["-c", create], { input: "payload", encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(parseApplyResult(stdout).reason, /^program: .* - run edge-fleet push tokyo$/);
});

test("the payload is packed whole, and stays below 5 KiB: the stack's state holds it twice", () => {
  for (const model of Object.values(MODELS)) {
    const payload = renderPayload(buildProfile(model), LOCK);
    const { stdin } = packPayload(payload, "tokyo");
    assert.equal(gunzipSync(Buffer.from(stdin, "base64")).toString(), payload.text);
    assert.ok(stdin.length < 5 * 1024, `${model.model}: ${stdin.length} bytes`);
  }
});

test("the script for a person holds program and payload, and refuses to run with a stand-in for a secret", () => {
  const payload = renderPayload(base, LOCK);
  const script = renderScript(base.id, payload);
  assert.ok(script.includes(deviceProgram().text) && script.includes(payload.text));
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

const ANSWER =
  '{"device":"edge-0001","result":"failed","hash":"ab","version":"v1","reason":"a \\"quoted\\" word - mend"}';

test("the last line of stdout is the answer", () => {
  assert.deepEqual(parseApplyResult(`a banner\n${ANSWER}\n`), {
    device: "edge-0001",
    result: "failed",
    hash: "ab",
    version: "v1",
    reason: 'a "quoted" word - mend',
  });
});

test("the answer is found inside a longer text", () => {
  const text = `running "read {x}":\n${ANSWER}\n: exit status 1 {}`;
  assert.equal(ApplyResultPattern.exec(text)?.[0], ANSWER);
});

for (const garbage of ["", "sudo: a password is required", "{}", "null", ANSWER.replace("failed", "done"), "[1]"]) {
  test(`the answer ${JSON.stringify(garbage)} is refused`, () => {
    assert.throws(() => parseApplyResult(garbage), /^Error: the device answered .* - read .*apply\.log on the device$/);
  });
}
