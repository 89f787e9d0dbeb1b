/**
 * The namespaces of the lab: what a command in them sees and returns, and that nothing is left of a lab with devices when
 * it ends, however it ends. Runs inside namespaces itself, so that it counts no other test's mounts and processes.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { runCommand } from "./devices/command.ts";
import { enterNamespaces, NAMESPACE_VARIABLE, runInNamespaces } from "./namespace.ts";

await enterNamespaces();

const outside: NodeJS.ProcessEnv = { ...process.env, [NAMESPACE_VARIABLE]: "" };

/** Starts another lab in nested namespaces; resolves with it and its namespaces once a device process runs in it. */
async function nestedLab(): Promise<{ child: ChildProcess; namespaces: string[] }> {
  const command = "readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/pid; exec sleep 1000";
  const script = join(import.meta.dirname, "devices", "run.ts");
  const args = [script, "--devices", "5", "--", "sh", "-c", command];
  const child = spawn(process.execPath, args, { env: outside, stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  for await (const bytes of child.stdout) {
    text += bytes;
    if (text.split("\n").length > 3) break;
  }
  const namespaces = text.trim().split("\n");
  assert.equal(namespaces.length, 3, `the nested lab printed ${JSON.stringify(text)}`);
  return { child, namespaces };
}

function processesIn(namespaces: readonly string[]): string[] {
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return ids.filter((id) => ["mnt", "net", "pid"].some((kind) => namespaces.includes(namespaceOf(id, kind))));
}

function namespaceOf(id: string, kind: string): string {
  try {
    return readlinkSync(`/proc/${id}/ns/${kind}`);
  } catch {
    return "ended";
  }
}

for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  test(`after ${signal} no process, mount, namespace or file of the lab is left`, async () => {
    const mounts = readFileSync("/proc/self/mountinfo", "utf8");
    const files = readdirSync("/run");
    const { child, namespaces } = await nestedLab();
    assert.ok(processesIn(namespaces).length >= 4, "the nested lab runs");
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
    for (let wait = 0; processesIn(namespaces).length > 0 && wait < 50; wait += 1) await sleep(100);
    assert.deepEqual(processesIn(namespaces), []);
    assert.equal(readFileSync("/proc/self/mountinfo", "utf8"), mounts);
    assert.deepEqual(readdirSync("/run"), files);
    const handles = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => namespaces.some((ns) => line.includes(ns)));
    assert.deepEqual(handles, [], "a bind mount would keep a namespace alive without a process");
  });
}

test("a command in new namespaces gives its exit code and sees only its own processes and the lab's addresses", async () => {
  assert.equal(await runInNamespaces("sh", ["-c", "exit 41"], process.env), 41);
  assert.equal(await runInNamespaces("sh", ["-c", "kill -TERM $$"], process.env), 143);
  const check =
    'test "$(cat /proc/1/comm)" = namespace-init. && ip -4 addr show lo | grep -q 10.250.0.1/32 && test "$EDGE_FLEET_LAB_NAMESPACE" = 1';
  assert.equal(await runInNamespaces("sh", ["-c", check], process.env), 0);
});

test("without root the reason is given", async () => {
  const script = `import { enterNamespaces } from ${JSON.stringify(join(import.meta.dirname, "namespace.ts"))}; process.setuid(65534); await enterNamespaces();`;
  const { code, stderr } = await runCommand(process.execPath, ["--input-type=module", "-e", script], outside);
  assert.equal(code, 1);
  assert.match(stderr, /namespaces need root - run the tests as root/);
});
