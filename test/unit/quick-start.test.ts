/**
 * The documents that a person follows word by word: their commands in an order that works, and each of them one that
 * test/e2e/readme.test.ts types, or tells why not.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DEFAULTS, defaultModel } from "../../cli/init/answers.ts";
import { DAY_TWO, START } from "../e2e/readme-steps.ts";
import { shellBlocks } from "../lab/documents.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const read = (path: string): string => readFileSync(join(REPOSITORY, path), "utf8");

/** What has to come before what. */
const ORDER = [
  /^npm ci && npm pack$/,
  /^npx edge-fleet init /,
  /^cd \S+ && git init -b main$/,
  /^npm install \S+\.tgz$/,
  /^ssh-add\b/,
  /^npx edge-fleet lock\b/,
  /^npx edge-fleet enroll tokyo\b/,
  /^pulumi stack init hub && pulumi stack init tokyo$/,
  /^git add \. && git commit /,
  /^pulumi up --stack hub\b/,
  /^pulumi up --stack tokyo\b/,
];

for (const path of ["README.md", "docs/quick-start.ja.md"]) {
  const text = read(path);
  const lines = shellBlocks(path).flatMap(({ commands }) => commands);

  test(`${path} pins, makes the stacks, commits what they wrote and only then runs`, () => {
    const places = ORDER.map((pattern) => lines.findLastIndex((line) => pattern.test(line)));
    assert.ok(!places.includes(-1), `${ORDER[places.indexOf(-1)]} is in none of\n${lines.join("\n")}`);
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
    );
  });

  test(`${path} installs the version that is packed, and names a model that init makes`, () => {
    const { version } = JSON.parse(read("package.json")) as { version: string };
    for (const [, packed] of text.matchAll(/edge-fleet-(\S+)\.tgz/g)) assert.equal(packed, version);
    const model = defaultModel(DEFAULTS.architecture, DEFAULTS.memory);
    for (const [, named] of text.matchAll(/^ +- \{ id: .*model: ([\w-]+)/gm)) assert.equal(named, model);
  });
}

/** What the quick start has on top of the README's three steps, within them. */
const MORE = ["npx edge-fleet doctor tokyo", "pulumi preview --stack tokyo"];

const commandsOf = (path: string): string[][] => shellBlocks(path).map(({ commands }) => [...commands]);

test("the three steps of the README are those of the Japanese quick start", () => {
  const steps = shellBlocks("README.md").filter(({ section }) => section === "Real devices in three steps");
  const both = commandsOf("docs/quick-start.ja.md").slice(0, steps.length);
  assert.deepEqual(
    both.map((block) => block.filter((command) => !MORE.includes(command))),
    steps.map(({ commands }) => commands),
  );
});

const [, ...afterTheFirst] = commandsOf("docs/quick-start.ja.md");
for (const [path, commands, steps] of [
  ["docs/quick-start.ja.md", afterTheFirst.flat(), START],
  ["docs/operations.md", commandsOf("docs/operations.md").flat(), DAY_TWO],
] as const) {
  test(`each command of ${path} has its step in test/e2e/readme-steps.ts, in this order`, () => {
    assert.deepEqual(
      steps.map(({ command }) => command),
      commands,
    );
  });
}
