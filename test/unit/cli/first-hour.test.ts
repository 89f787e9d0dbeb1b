/** What people meet in their first hour with the command, whatever command it is. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { projectPath } from "../../../cli/project.ts";
import { edgeFleet, MAIN } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const TOKYO = "region: tokyo\ndevices:\n  - { id: a, host: 10.0.0.1, model: box }\n";

test("a reader that closes the pipe ends in silence, not in a stack trace", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const child = spawn(process.execPath, [MAIN, "explain", "a", "--inventory", stacks], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  assert.deepEqual([code, stderr], [0, ""]);
});

test("in a subfolder of the project its inventory and tree are found, as Git finds its repository", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const project = dirname(stacks);
  writeFileSync(join(project, "Pulumi.yaml"), "name: acme\nruntime: nodejs\n");
  const below = join(project, "docs", "notes");
  mkdirSync(below, { recursive: true });
  const { exitCode, stdout } = await edgeFleet(["explain", "a"], { cwd: below });
  assert.equal(exitCode, 0);
  assert.match(stdout, /^a: region tokyo, model box /);
  const check = await edgeFleet(["check"], { cwd: below });
  assert.match(check.stdout, /^\.\.\/\.\.\/fleet:1:1 \(file\): is missing: /);
});

const places: { name: string; from: string[]; path: string }[] = [
  { name: "in the project", from: [], path: "stacks" },
  { name: "two folders below", from: ["a", "b"], path: "../../stacks" },
];

for (const { name, from, path } of places) {
  test(`the project's inventory ${name} is ${path}`, (context) => {
    const project = temporaryDirectory(context);
    writeFileSync(join(project, "Pulumi.yaml"), "");
    assert.equal(projectPath("stacks", join(project, ...from)), path);
  });
}

test("outside of any project the current folder is one", (context) => {
  assert.equal(projectPath("stacks", temporaryDirectory(context)), "stacks");
});

test("a large inventory is not read in silence, and nothing of that is on stdout", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const quiet = await edgeFleet(["explain", "a", "--inventory", stacks]);
  assert.equal(quiet.stderr, "");
  writeFileSync(join(stacks, "tokyo.yaml"), `${TOKYO}${"# a note\n".repeat(250_000)}`);
  const { exitCode, stdout, stderr } = await edgeFleet(["explain", "a", "--inventory", stacks]);
  assert.deepEqual([exitCode, stderr, stdout], [0, "reading 2 MiB of inventory\n", quiet.stdout]);
});
