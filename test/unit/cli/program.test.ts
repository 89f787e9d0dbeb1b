import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { buildProgram } from "../../../cli/program.ts";
import { formatTable, usesColour } from "../../../cli/terminal.ts";
import { edgeFleet } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const TOKYO =
  "region: tokyo\ndevices:\n  - { id: a, host: 10.0.0.1, model: box, ring: canary }\n  - { id: b, host: 10.0.0.2, model: other }\n";

test("every command explains itself and ends with 0", async () => {
  const names = buildProgram().commands.map((command) => command.name());
  for (const args of [["--help"], ...names.map((name) => [name, "--help"])]) {
    const { exitCode, stdout, stderr } = await edgeFleet(args);
    assert.deepEqual([exitCode, stderr], [0, ""], args.join(" "));
    assert.match(stdout, /^Usage: edge-fleet /);
  }
});

test("every command is in the overview", async () => {
  const { stdout } = await edgeFleet(["--help"]);
  const program = buildProgram();
  for (const command of program.createHelp().visibleCommands(program))
    assert.match(stdout, new RegExp(`^ {2}${command.name()} `, "m"));
});

const wrong: { args: string[]; message: RegExp }[] = [
  { args: ["--nonsense"], message: /unknown option '--nonsense'/ },
  { args: ["enrol"], message: /Did you mean enroll\?/ },
  { args: ["enroll"], message: /missing required argument 'region'/ },
  { args: ["enroll", "tokyo", "--paralel", "3"], message: /Did you mean --parallel\?/ },
  { args: ["enroll", "tokyo", "--parallel", "0"], message: /Use a whole number from 1\./ },
  { args: ["render", "--inventory", "/nowhere"], message: /nowhere\/fleet\.yaml:1:1 \(file\): does not exist - / },
];

for (const { args, message } of wrong) {
  test(`edge-fleet ${args.join(" ")} ends with 2 and says what to do`, async () => {
    const { exitCode, stdout, stderr } = await edgeFleet(args);
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.match(stderr, message);
  });
}

test("no command at all prints the help and ends with 2", async () => {
  const { exitCode, stderr } = await edgeFleet([]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /^Usage: edge-fleet/);
});

test("preview without a Pulumi CLI says what to install", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const { exitCode, stderr } = await edgeFleet(["preview", "tokyo", "--inventory", stacks], {
    environment: { PATH: temporaryDirectory(context) },
  });
  assert.equal(exitCode, 2);
  assert.match(stderr, /pulumi is not on PATH - install/);
});

test("explain names the layer of each setting", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const { exitCode, stdout } = await edgeFleet(["explain", "a", "--inventory", stacks]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^k3s\.version +v1\.34\.2\+k3s1 +fleet$/m);
  assert.match(stdout, /^ring +canary +device$/m);
  assert.match(stdout, /^ssh\.port +22 +default$/m);
  const other = writeInventory(context, { "tokyo.yaml": `${TOKYO}k3s: { version: v1.30.1+k3s1 }\n` });
  const refused = await edgeFleet(["explain", "a", "--inventory", other]);
  assert.equal(refused.exitCode, 0);
  assert.match(
    refused.stderr,
    /^error: \S+\/tokyo\.yaml:\d+:17 k3s\.version: v1\.30\.1\+k3s1 is not supported - use v1\.33\.0\+k3s1 or later \(device a\)$/m,
  );
  const unknown = await edgeFleet(["explain", "zzz", "--inventory", stacks]);
  assert.equal(unknown.exitCode, 2);
});

test("script prints a shell script that a shell can parse", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const { exitCode, stdout } = await edgeFleet(["script", "a", "--inventory", stacks]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^#!\/bin\/sh\n/);
  assert.equal(spawnSync("dash", ["-n"], { input: stdout, encoding: "utf8" }).stderr, "");
});

test("schema prints a schema of each file of the inventory", async () => {
  const printed = JSON.parse((await edgeFleet(["schema"])).stdout) as Record<string, { title: string }>;
  const names = ["artifacts-lock", "fleet", "models", "region-lock", "region"].map((name) => `${name}.schema.json`);
  assert.deepEqual(Object.keys(printed).sort(), names.sort());
});

test("render writes the tree once, and --check fails exactly while it is stale", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const cwd = join(stacks, "..");
  const run = (...args: string[]) => edgeFleet(args, { cwd });
  const stale = await run("render", "--check");
  assert.equal(stale.exitCode, 1);
  assert.match(stale.stdout, /^create overlays\/tokyo\/box\/kustomization\.yaml$/m);
  assert.ok(!existsSync(join(cwd, "fleet")));
  assert.equal((await run("render")).exitCode, 0);
  assert.equal((await run("render", "--check")).exitCode, 0);
  appendFileSync(join(stacks, "models.yaml"), "new: { architecture: arm64, memory: 2Gi }\n");
  appendFileSync(join(stacks, "tokyo.yaml"), "  - { id: c, host: 10.0.0.3, model: new }\n");
  const again = await run("render", "--check");
  assert.equal(again.exitCode, 1);
  assert.match(again.stdout, /^create overlays\/tokyo\/new\/kustomization\.yaml$/m);
});

test("colour only on a terminal, and never with NO_COLOR", () => {
  const write = (): void => {};
  assert.equal(usesColour({ isTTY: true, write }, {}), true);
  assert.equal(usesColour({ isTTY: true, write }, { NO_COLOR: "1" }), false);
  assert.equal(usesColour({ write }, {}), false);
});

test("columns line up with and without colour", () => {
  const rows = [
    ["a", { text: "ok", colour: "green" as const }, ""],
    ["long", "no", "why"],
  ];
  assert.equal(formatTable(["X", "S", "W"], rows, false), "X     S   W\na     ok\nlong  no  why\n");
  assert.equal(
    stripVTControlCharacters(formatTable(["X", "S", "W"], rows, true)),
    formatTable(["X", "S", "W"], rows, false),
  );
});
