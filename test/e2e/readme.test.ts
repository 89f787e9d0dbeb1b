/**
 * What a reader meets who types the commands of README.md, docs/quick-start.ja.md and docs/operations.md as they stand there, in
 * their order: a repository from nothing, a hub, a device that answers and one that does not yet, and day two.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { shellBlocks } from "../lab/documents.ts";
import { insideNamespaces } from "../lab/namespace.ts";
import { enterLab } from "../lab/scenario.ts";
import { FLEET_PARTS } from "../lab/toolchain/parts.ts";
import { startWalk, type Walk } from "../lab/walk.ts";
import { processFolder } from "../temporary.ts";
import { Terminal } from "../tmux.ts";
import { DAY_TWO, START, type Step } from "./readme-steps.ts";

const REPOSITORY = join(import.meta.dirname, "../..");
const GIT_URL = "https://git.example.com/acme/fleet.git";
const DEVICES = ["tokyo-0001", "tokyo-0002"];
const ARCHITECTURE = process.arch === "arm64" ? "arm64" : "amd64";

const [BEGIN] = shellBlocks("README.md").filter(({ section }) => section === "Real devices in three steps");

/** What a person answers to the questions of `init`. */
const ANSWERS: readonly (readonly [question: string, answer: string])[] = [
  ["Name of the fleet:", "acme"],
  ["Git URL of this repository, as devices reach it:", GIT_URL],
  ["Regions, with commas between:", "tokyo"],
  ["Devices to list, all regions together (0: examples to fill in) [0]:", ""],
  ["Architecture: arm64 or amd64 [arm64]:", ARCHITECTURE],
  ["Memory of a device [4Gi]:", ""],
  ["Kubernetes: k3s, k0s or microk8s [k3s]:", ""],
  ["SSH user [root]:", ""],
  ["CI: github, gitlab or none [github]:", "none"],
  ["Write these files? [Y/n]", ""],
];

/** Milliseconds for each question and each end; npm takes its time on a busy machine. */
const PATIENCE_MS = 240_000;

/** The first step needs the registry of npm, so it comes before the lab. */
const WORK = "EDGE_FLEET_README_WALK";
if (!insideNamespaces()) {
  const work = processFolder("readme");
  process.env[WORK] = work;
  await begin(work);
}
const toolchain = await enterLab([...FLEET_PARTS, "k3s-apiserver"]);
const FLEET = join(process.env[WORK] ?? "", "my-fleet");

/**
 * A checkout, and beside it the fleet that it begins. `npm ci` has made the checkout that runs this test, whose modules the other
 * one gets.
 */
async function begin(work: string): Promise<void> {
  const checkout = join(work, "edge-fleet");
  mkdirSync(checkout);
  const list = "git ls-files -z --cached --others --exclude-standard";
  execFileSync("sh", ["-euc", `${list} | tar -c --null -T - | tar -x -C "$1"`, "copy", checkout], { cwd: REPOSITORY });
  symlinkSync(join(REPOSITORY, "node_modules"), join(checkout, "node_modules"));
  process.env.npm_config_prefer_offline = "true";
  const block = (BEGIN?.commands ?? []).join("\n").replace("npm ci && ", "");
  const closers: (() => unknown)[] = [];
  const context: Pick<TestContext, "after"> = { after: (close) => void closers.push(close as () => unknown) };
  try {
    await answer(new Terminal(context, work, checkout, ["bash", "-ec", block]), ANSWERS, 0);
  } finally {
    for (const close of closers) close();
  }
}

/** Answers what a command on a terminal asks, and waits for its end. @returns what stands on the screen then */
async function answer(terminal: Terminal, answers: NonNullable<Step["asks"]>, code: number): Promise<string> {
  for (const [question, typed] of answers) {
    await terminal.shows(question, PATIENCE_MS);
    terminal.type(typed);
  }
  const ended = await terminal.exitCode(PATIENCE_MS);
  assert.equal(ended, code, terminal.screen());
  return terminal.screen();
}

async function run(context: TestContext, walk: Walk, step: Step): Promise<void> {
  const { command, code = 0, shows = /(?:)/, asks, until } = step;
  await step.given?.(walk);
  if (asks !== undefined) {
    const terminal = new Terminal(context, processFolder("terminal"), FLEET, ["bash", "-ec", command]);
    return assert.match(await answer(terminal, asks, code), shows);
  }
  const result = await (until === undefined ? walk.type(command, step.input) : walk.interrupt(command, until));
  const told = `${result.stdout}\n${result.stderr}`;
  if (until === undefined) assert.equal(result.code, code, told);
  assert.match(told, shows);
}

/** Types the commands of a document one after the other. */
async function follow(t: TestContext, walk: Walk, steps: readonly Step[]): Promise<void> {
  for (const step of steps)
    await t.test(step.command, { skip: step.instead ?? false }, (context) => run(context, walk, step));
}

/** Outputs of a kind of stack in the README's table. */
function outputsOf(stack: string): string[] {
  const text = readFileSync(join(REPOSITORY, "README.md"), "utf8");
  const rows = text.matchAll(new RegExp(`^\\| ${stack} +\\| \`([^\`]+)\``, "gm"));
  return [...rows].map(([, name = ""]) => name.replace("<region>", "tokyo")).sort();
}

test("a reader who types what the documents say gets what they show", async (t) => {
  const walk = await startWalk({ toolchain, fleet: FLEET, gitUrl: GIT_URL, devices: DEVICES });
  t.after(() => walk.stop());
  const entries = walk.devices.devices.map(
    ({ id, host, port }, index) =>
      `  - { id: ${id}, host: ${host}, model: ${ARCHITECTURE}-4g, ring: ${["canary", "early"][index]}, ssh: { port: ${port} } }\n`,
  );
  appendFileSync(join(FLEET, "stacks/tokyo.yaml"), `devices:\n${entries.join("")}`);
  await follow(t, walk, START);
  await t.test("the stacks have the outputs that the README lists", async () => {
    for (const [stack, name] of [
      ["region", "tokyo"],
      ["hub", "hub"],
    ] as const) {
      const { stdout } = await walk.type(`pulumi stack output --json --stack ${name}`);
      assert.deepEqual(Object.keys(JSON.parse(stdout)).sort(), outputsOf(stack));
    }
  });
  await follow(t, walk, DAY_TWO);
  assert.deepEqual([...new Set([...START, ...DAY_TWO].map(({ code = 0 }) => code))].sort(), [0, 1, 2, 3]);
});
