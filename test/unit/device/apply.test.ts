import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import {
  ApplyResultPattern,
  packApplyScript,
  parseApplyResult,
  renderApplyScript,
} from "../../../components/device/apply.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { assertGolden } from "../../golden.ts";
import { ARTIFACTS, buildProfile, LOCK, MODELS } from "./profile.ts";

const DEVICE = join(import.meta.dirname, "../../../components/device");
const base = buildProfile();
const hashOf = (changes: Partial<Profile>): string => renderApplyScript(buildProfile(changes), LOCK).hash;

for (const [name, model] of Object.entries(MODELS)) {
  test(`the script of a ${name} is as reviewed, and ShellCheck, dash and busybox accept it`, () => {
    const { text } = renderApplyScript(buildProfile(model), LOCK);
    assertGolden(`device/${name}.sh`, text);
    for (const command of [
      ["shellcheck", "-"],
      ["dash", "-n"],
      ["busybox", "ash", "-n"],
    ])
      assertAccepts(command, text);
  });
}

for (const name of ["journal.sh", "apply.sh"]) {
  test(`${name} alone passes ShellCheck`, () => {
    assertAccepts(["shellcheck", join(DEVICE, name)], "");
  });
}

function assertAccepts([command = "", ...rest]: readonly string[], input: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, rest, { input, encoding: "utf8" });
  assert.equal(status, 0, `${command}: ${error?.message ?? ""}${stdout}${stderr}`);
}

test("the same profile gives the same bytes", () => {
  const [one, other] = [renderApplyScript(buildProfile(), LOCK), renderApplyScript(buildProfile(), LOCK)];
  assert.deepEqual(packApplyScript(one), packApplyScript(other));
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
  ["the mirror", { artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: "https://mirror.example.com" } }],
  ["the delivery", { artifacts: { ...ARTIFACTS, delivery: "push", mirror: undefined } }],
  ["the readiness timeout", { readiness: { timeoutSeconds: 60 } }],
  ["the host name", { host: "10.0.0.7" }],
] satisfies [string, Partial<Profile>][]) {
  test(`${what} is not part of the desired state`, () => assert.equal(hashOf(changes), hashOf({})));
}

test("the remote command is short and the same for every device", () => {
  const commands = Object.values(MODELS).map((model, index) => {
    const profile = buildProfile({ ...model, id: `edge-${index}`, readiness: { timeoutSeconds: 100 + index } });
    return packApplyScript(renderApplyScript(profile, LOCK)).create;
  });
  assert.equal(new Set(commands).size, 1);
  assert.ok((commands[0] ?? "").length < 500);
  assertAccepts(["shellcheck", "-s", "sh", "-e", "SC2086", "-"], commands[0] ?? "");
});

test("the payload names the script's hash and its limit, and holds the script", () => {
  const script = renderApplyScript(buildProfile({ readiness: { timeoutSeconds: 120 } }), LOCK);
  const [header, payload = ""] = packApplyScript(script).stdin.split("\n");
  assert.equal(header, `${createHash("sha256").update(script.text).digest("hex")} 1020`);
  assert.equal(gunzipSync(Buffer.from(payload, "base64")).toString(), script.text);
});

test("the payload of a device stays below 9 KiB: the stack's state holds it twice", () => {
  for (const model of Object.values(MODELS)) {
    const { length } = packApplyScript(renderApplyScript(buildProfile(model), LOCK)).stdin;
    assert.ok(length < 9 * 1024, `${model.model}: ${length} bytes`);
  }
});

test("a payload that arrives damaged is not run", () => {
  const { create, stdin } = packApplyScript(renderApplyScript(buildProfile(), LOCK));
  const damaged = stdin.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
  const { status, stdout, stderr } = spawnSync("sh", ["-c", create], { input: damaged, encoding: "utf8" });
  assert.deepEqual([status, stdout], [1, ""]);
  assert.match(stderr, /arrived damaged/);
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
