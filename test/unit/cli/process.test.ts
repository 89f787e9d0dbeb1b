import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runProgram } from "../../../cli/process.ts";
import { temporaryDirectory } from "./inventory.ts";

test("a program that takes too long is killed with its children", async (context) => {
  const file = join(temporaryDirectory(context), "child");
  const script = `sh -c 'echo $$ >"${file}"; exec sleep 60' & wait`;
  const started = Date.now();
  const { exitCode, ended } = await runProgram("sh", ["-c", script], { timeoutMs: 400 });
  assert.deepEqual([exitCode, ended], [undefined, "timeout"]);
  assert.ok(Date.now() - started < 10_000);
  await delay(50);
  const status = `/proc/${readFileSync(file, "utf8").trim()}/stat`;
  const state = existsSync(status) ? readFileSync(status, "utf8").split(" ")[2] : "gone";
  assert.ok(state === "gone" || state === "Z", `child is ${state}`);
});

test("a program that writes without end is killed and its output stays small", async () => {
  const { ended, stdout } = await runProgram("sh", ["-c", "yes"], { maxOutputBytes: 100_000, timeoutMs: 20_000 });
  assert.equal(ended, "output");
  assert.ok(stdout.length <= 100_000);
});

test("an abort before or during the run kills it", async () => {
  assert.equal((await runProgram("sleep", ["60"], { signal: AbortSignal.abort() })).ended, "aborted");
  assert.equal((await runProgram("sleep", ["60"], { signal: AbortSignal.timeout(100) })).ended, "aborted");
});

test("a program that does not exist is a result, not an exception", async () => {
  const { exitCode, stderr } = await runProgram("no-such-program", [], { stdin: "x" });
  assert.equal(exitCode, undefined);
  assert.match(stderr, /ENOENT/);
});

test("a program that ends without reading its stdin is no error", async () => {
  const { exitCode } = await runProgram("true", [], { stdin: "x".repeat(1_000_000) });
  assert.equal(exitCode, 0);
});

test("arguments are not interpreted by a shell", async () => {
  assert.equal((await runProgram("printf", ["%s", "$(id) `id` ; *"])).stdout, "$(id) `id` ; *");
});
