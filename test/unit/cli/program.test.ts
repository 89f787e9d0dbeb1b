import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { COMMAND_GROUPS } from "../../../cli/catalog.ts";
import { JSON_DOCUMENTS } from "../../../cli/json/reference.ts";
import { buildProgram } from "../../../cli/program.ts";
import { formatTable, usesColour } from "../../../cli/terminal.ts";
import { edgeFleet, findCommand } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const TOKYO =
  "region: tokyo\ndevices:\n  - { id: a, host: 10.0.0.1, model: box, ring: canary }\n  - { id: b, host: 10.0.0.2, model: other }\n";

const { commands } = await buildProgram();

test("every command explains itself and ends with 0", async () => {
  const below = commands.flatMap((command) => command.commands.map((each) => [command.name(), each.name(), "--help"]));
  for (const args of [["--help"], ...commands.map((command) => [command.name(), "--help"]), ...below]) {
    const { exitCode, stdout, stderr } = await edgeFleet(args);
    assert.deepEqual([exitCode, stderr], [0, ""], args.join(" "));
    assert.match(stdout, /^Usage: edge-fleet /);
  }
});

test("the list has every command in its group, and none that is hidden", async () => {
  const { stdout } = await edgeFleet(["--help"]);
  const shown = COMMAND_GROUPS.map(({ heading, commands: entries }) => {
    const part = stdout.split(`\n${heading}\n`)[1]?.split("\n\n")[0] ?? "";
    assert.deepEqual(
      [...part.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name).filter((name) => name !== "help"),
      entries.filter(({ hidden }) => hidden !== true).map(({ name }) => name),
    );
    return heading;
  });
  const headings = [...stdout.matchAll(/^[A-Z][a-z ]*:$/gm)].map(([heading]) => heading);
  assert.deepEqual(headings, ["Options:", ...shown]);
  for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
});

for (const { name, example } of COMMAND_GROUPS.flatMap((group) => group.commands))
  test(`the example of ${name} has arguments and options that it takes`, () => {
    const words = example.replace(/^eval "\$\((.*)\)"$/, "$1").split(/ (?=(?:[^"]*"[^"]*")*[^"]*$)/);
    assert.deepEqual(words.slice(0, 2), ["edge-fleet", name]);
    const [command, rest] = findCommand(commands, words.slice(1));
    assert.ok(command);
    const { operands, unknown } = command.parseOptions([...rest]);
    assert.deepEqual(unknown, []);
    const { registeredArguments } = command;
    assert.ok(operands.length >= registeredArguments.filter(({ required }) => required).length);
    assert.ok(operands.length <= registeredArguments.length || registeredArguments.at(-1)?.variadic === true);
  });

/** Files of the repository that a command loads, by a hook that tells of each. */
async function loadedBy(args: readonly string[], cwd?: string): Promise<string[]> {
  const hook = `import { registerHooks } from "node:module"; import { writeSync } from "node:fs";
registerHooks({ load: (url, context, next) => { writeSync(2, "loaded " + url + "\\n"); return next(url, context); } });`;
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(hook)}`;
  const { stderr } = await edgeFleet(args, { environment: { NODE_OPTIONS }, ...(cwd === undefined ? {} : { cwd }) });
  return [...stderr.matchAll(/^loaded file:.*?\/((?:cli|components)\/[^\n]*)$/gm)].map(([, path = ""]) => path);
}

test("a command loads its own code alone, and the help none of any", async (context) => {
  const help = await loadedBy(["--help"]);
  assert.ok(help.includes("cli/program.ts"));
  assert.deepEqual(
    help.filter((path) => /^cli\/commands|^components/.test(path)),
    [],
  );
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const list = await loadedBy(["stacks"], join(stacks, ".."));
  assert.deepEqual(list.filter((path) => path.startsWith("cli/commands/")).sort(), [
    "cli/commands/options.ts",
    "cli/commands/stacks.ts",
  ]);
});

test("help of a command is the same both ways", async () => {
  const [before, after] = [await edgeFleet(["help", "up"]), await edgeFleet(["up", "--help"])];
  assert.deepEqual([before.exitCode, before.stdout], [0, after.stdout]);
  assert.match(after.stdout, /\nExample:\n {2}edge-fleet up tokyo --device tokyo-0001\n$/);
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

test("explain --script prints a shell script that a shell can parse", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const { exitCode, stdout } = await edgeFleet(["explain", "a", "--script", "--inventory", stacks]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^#!\/bin\/sh\n/);
  assert.equal(spawnSync("dash", ["-n"], { input: stdout, encoding: "utf8" }).stderr, "");
});

test("schema prints a schema of each file of the inventory", async () => {
  const printed = JSON.parse((await edgeFleet(["schema"])).stdout) as Record<string, { title: string }>;
  const names = ["artifacts-lock", "fleet", "models", "region-lock", "region"].map((name) => `${name}.schema.json`);
  assert.deepEqual(Object.keys(printed).sort(), names.sort());
  const documents = JSON.parse((await edgeFleet(["schema", "--json"])).stdout) as Record<string, { $schema: string }>;
  assert.deepEqual(Object.keys(documents), [...JSON_DOCUMENTS.keys()]);
  for (const { $schema } of Object.values(documents)) assert.match($schema, /2020-12/);
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

test("every command that prints JSON has its document described, and no other", () => {
  const all = commands.flatMap((command) =>
    command.commands.length === 0
      ? [[command.name(), command] as const]
      : command.commands.map((below) => [`${command.name()} ${below.name()}`, below] as const),
  );
  const printing = all.filter(
    ([name, { options }]) => name !== "schema" && options.some(({ long }) => long === "--json"),
  );
  assert.deepEqual([...JSON_DOCUMENTS.keys()].sort(), printing.map(([name]) => name).sort());
});
