/** dial.sh with a client of OpenSSH that only acts: what it makes of each end, and when it asks a device once more. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { dialCommand, openDialFolder, writeDialFiles } from "../../../components/device/folder.ts";
import { deviceProgram } from "../../../components/device/program.ts";
import { parseDialResult } from "../../../components/device/result.ts";
import { processFolder } from "../../temporary.ts";

process.chdir(processFolder("dial"));
const folders = openDialFolder("tokyo", deviceProgram());
const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH";
const target = { id: "a", host: "10.0.0.1", port: 22, user: "root", hostKey, jump: undefined };
writeDialFiles(folders, { target, held: undefined, payload: { digest: "0".repeat(64), body: "edge-fleet 1\n" } });

const SLOW = 'echo "Connection timed out during banner exchange" >&2; exit 255';
const DARK = 'echo "ssh: connect to host 10.0.0.1 port 22: Connection timed out" >&2; exit 255';
const ANSWERS = `echo "a banner of the machine"; echo "edge-fleet ${deviceProgram().sha256}"
while read -r line && [ "$line" != . ]; do :; done
echo '{"device":"a","result":"applied","code":"","hash":"h","version":"v1","reason":""}'`;

/** Runs the dial with a client that does the first of these in its first call, and so on. */
function dial(...calls: readonly string[]) {
  const bin = mkdtempSync(join(tmpdir(), "edge-fleet-ssh-"));
  const steps = calls.map((call, index) => `${index + 1}) ${call} ;;`).join("\n");
  const count = `n=$(($(cat "${bin}/calls" 2>/dev/null || echo 0) + 1)); echo "$n" >"${bin}/calls"; echo "$*" >>"${bin}/words"`;
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "ssh"), `#!/bin/sh\n${count}\ncase $n in\n${steps}\nesac\n`);
  chmodSync(join(bin, "ssh"), 0o755);
  const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", dialCommand("tokyo")], {
    input: `device: a\npayload: ${"0".repeat(64)}\nprogram: ${deviceProgram().sha256}\nrelease: v1\n`,
    env: { PATH: `${bin}:${process.env.PATH}`, EDGE_FLEET_DEVICE: "a", EDGE_FLEET_ATTEMPT: "1" },
    encoding: "utf8",
  });
  assert.deepEqual([status, stderr], [0, ""]);
  const outcome = parseDialResult(stdout)?.outcome;
  return { outcome, words: readFileSync(join(bin, "words"), "utf8").trim().split("\n") };
}

test("a device that answers is asked once, and applied", () => {
  const { outcome, words } = dial(ANSWERS);
  assert.deepEqual([outcome?.state, outcome?.release, words.length], ["applied", "v1", 1]);
});

test("one that takes a connection and says nothing in time is asked once more, and given longer", () => {
  const { outcome, words } = dial(SLOW, ANSWERS);
  assert.deepEqual([outcome?.state, words.length], ["applied", 2]);
  assert.match(words[1] ?? "", /-o ConnectTimeout=20 /);
  const twice = dial(SLOW, SLOW);
  assert.deepEqual([twice.outcome?.state, twice.outcome?.code, twice.words.length], ["pending", "silent", 2]);
});

test("one that nobody hears from is asked once", () => {
  const { outcome, words } = dial(DARK);
  assert.deepEqual([outcome?.state, outcome?.code, words.length], ["pending", "unreachable", 1]);
});
