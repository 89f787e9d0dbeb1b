/** How a start and a stop of the hub's process are told from its output, against a small program in its place. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Toolchain } from "../toolchain/index.ts";
import { startHub } from "./index.ts";

const scratch = mkdtempSync(join(tmpdir(), "edge-fleet-hub-"));
delete process.env.EDGE_FLEET_LAB_NAMESPACE;
after(() => rmSync(scratch, { recursive: true }));

/** A toolchain whose hub-apiserver is this shell script. */
function toolchainWith(name: string, script: string): Toolchain {
  const path = join(scratch, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return { binDir: scratch, parts: [{ name: "hub-apiserver", real: false, version: "test", path }], env: {} };
}

test("a hub that says ready is handed out with its address and kubeconfig, and stops when told to", async () => {
  const toolchain = toolchainWith(
    "good",
    'trap "echo stopped >&2; exit 0" TERM\necho "$*" >&2\necho ready\nwhile :; do sleep 0.05; done',
  );
  const directory = join(scratch, "good-data");
  const lines: string[] = [];
  const hub = await startHub({ toolchain, directory, port: 16443, report: (line) => lines.push(line) });
  assert.equal(hub.server, "https://127.0.0.1:16443");
  assert.equal(hub.kubeconfigPath, join(directory, "admin.kubeconfig"));
  assert.match(lines.at(-1) ?? "", /^hub: ready after \d+\.\d s$/);
  await hub.stop();
  await hub.stop();
  const log = readFileSync(join(directory, "hub-apiserver.log"), "utf8");
  assert.equal(log, `--data-dir ${directory} --bind-address 127.0.0.1 --port 16443 --stop-on-stdin-end\nstopped\n`);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
});

test("a hub that ends before it is ready is an error that shows the end of its log", async () => {
  const toolchain = toolchainWith("bad", 'echo "hub-apiserver: kine: disk full" >&2\nexit 3');
  await assert.rejects(
    startHub({ toolchain, directory: join(scratch, "bad-data") }),
    /hub-apiserver ended with 3; end of .*hub-apiserver\.log:\nhub-apiserver: kine: disk full/,
  );
});

test("a toolchain without the hub is an error that says which part to ask for", async () => {
  await assert.rejects(
    startHub({ toolchain: { binDir: scratch, parts: [], env: {} }, directory: join(scratch, "none") }),
    /no part hub-apiserver - pass "hub-apiserver" to ensureToolchain/,
  );
});
