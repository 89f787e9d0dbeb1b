/** The documents that a person follows word by word to a first fleet: their commands in an order that works. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DEFAULTS, defaultModel } from "../../cli/init/answers.ts";

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
  const lines = [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].flatMap(([, block = ""]) =>
    block.split("\n").map((line) => line.replace(/ +#.*$/, "").trim()),
  );

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
