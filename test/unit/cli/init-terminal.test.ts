/** `edge-fleet init` as a person meets it: on a real terminal, one question after the other. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { parse } from "yaml";
import { Terminal } from "../../tmux.ts";
import { edgeFleet, MAIN } from "./command.ts";
import { temporaryDirectory } from "./inventory.ts";

const URL = "https://git.example.com/acme/fleet.git";

/** Each question of init in its order, what is typed wrongly and how that is explained, and the answer. */
const QUESTIONS: readonly { ask: string; wrong?: [typed: string, explained: string]; answer: string }[] = [
  { ask: "Name of the fleet:", wrong: ["", "  an answer is needed"], answer: "acme" },
  {
    ask: "Git URL of this repository, as devices reach it:",
    wrong: [
      "https://me:secret@git.example.com/fleet.git",
      "  https://git.example.com/fleet.git: holds a user or a password - leave it out: the URL is public in the tree",
    ],
    answer: URL,
  },
  {
    ask: "Regions, with commas between:",
    wrong: ["hub", "  hub: is the name of another file or stack - use another"],
    answer: "tokyo, osaka",
  },
  {
    ask: "Devices to list, all regions together (0: examples to fill in) [0]:",
    wrong: ["many", "  many: is not a number of devices - use 0 or more"],
    answer: "40",
  },
  {
    ask: "Host names of the devices [{region}-{n:04}.edge.example.com]:",
    wrong: [
      "pi.example.com",
      "  pi.example.com: does not number the hosts - write e.g. {region}-{n:04}.edge.example.com",
    ],
    answer: "",
  },
  {
    ask: "Architecture: arm64 or amd64 [arm64]:",
    wrong: ["arm", "  arm: is not an architecture - use amd64 or arm64"],
    answer: "",
  },
  { ask: "Memory of a device [4Gi]:", answer: "2Gi" },
  { ask: "Kubernetes: k3s, k0s or microk8s [k3s]:", answer: "" },
  { ask: "SSH user [root]:", answer: "pi" },
  { ask: "CI: github, gitlab or none [github]:", answer: "gitlab" },
];

/** Init on a terminal in an empty folder. */
function initOnTerminal(context: TestContext) {
  const cwd = temporaryDirectory(context);
  const terminal = new Terminal(context, temporaryDirectory(context), cwd, [process.execPath, MAIN, "init"]);
  return { cwd, terminal };
}

test("a person answers each question, is told what is wrong, and has a fleet that check takes", async (context) => {
  const { cwd, terminal } = initOnTerminal(context);
  for (const { ask, wrong, answer } of QUESTIONS) {
    await terminal.shows(ask);
    if (wrong !== undefined) {
      const [typed, explained] = wrong;
      terminal.type(typed);
      await terminal.shows(`${explained}\n${ask}`);
    }
    terminal.type(answer);
  }
  await terminal.shows("Write these files? [Y/n]");
  assert.match(terminal.screen(), /^create stacks\/tokyo\.csv$/m);
  assert.deepEqual(readdirSync(cwd), [], "nothing is written before the person says so");
  terminal.type("");
  assert.equal(await terminal.exitCode(), 0, terminal.screen());
  assert.match(terminal.screen(), /^Next: git init -b main && npm install, then: npx edge-fleet lock/m);
  const read = (path: string) => readFileSync(join(cwd, path), "utf8");
  assert.equal(parse(read("stacks/fleet.yaml")).fleet, "acme");
  assert.equal(parse(read("stacks/models.yaml"))["arm64-2g"].memory, "2Gi");
  assert.match(read("stacks/osaka.csv"), /osaka-0020\.edge\.example\.com/);
  assert.match(read(".gitlab-ci.yml"), /edge-fleet/);
  const check = await edgeFleet(["check"], { cwd });
  assert.deepEqual([check.exitCode, check.stdout], [0, "fleet: nothing to refuse\n"]);
});

for (const [index, { ask }] of [...QUESTIONS, { ask: "Write these files? [Y/n]" }].entries()) {
  if (index % 5 !== 0) continue;
  test(`Ctrl-C at "${ask}" ends init with 2 and leaves nothing behind`, async (context) => {
    const { cwd, terminal } = initOnTerminal(context);
    for (const before of QUESTIONS.slice(0, index)) {
      await terminal.shows(before.ask);
      terminal.type(before.answer);
    }
    await terminal.shows(ask);
    terminal.press("C-c");
    assert.equal(await terminal.exitCode(), 2, terminal.screen());
    assert.doesNotMatch(terminal.screen(), /^ +at /m, "no stack trace");
    assert.deepEqual(readdirSync(cwd), []);
  });
}
