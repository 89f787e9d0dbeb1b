import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { buildProgram } from "../../cli/program.ts";
import { githubAnchor } from "../../docs/.vitepress/anchor.ts";
import { findCommand } from "./cli/command.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const MAX_LINES = 300;

const read = (path: string): string => readFileSync(join(REPOSITORY, path), "utf8");
const find = (...patterns: string[]): string[] => globSync(patterns, { cwd: REPOSITORY }).sort();

const DOCUMENTS = find("*.md", "docs/*.md");
const SCRIPTS = find("{cli,components,test/lab}/**/*.sh", "test/lab/standins/bin/*", "test/lab/standins/openrc/*");

test(`no file of the product or of the lab has more than ${MAX_LINES} lines`, () => {
  const files = find("index.ts", "{cli,components,test/lab}/**/*.{ts,sh}");
  assert.ok(files.length > 50);
  const long = files.map((path) => [path, read(path).trimEnd().split("\n").length] as const);
  assert.deepEqual(
    long.filter(([, lines]) => lines > MAX_LINES),
    [],
  );
});

for (const script of SCRIPTS) {
  test(`${script} passes shellcheck`, () => {
    const { stdout, stderr, error } = spawnSync("shellcheck", [join(REPOSITORY, script)], { encoding: "utf8" });
    assert.deepEqual([error?.message, stdout, stderr], [undefined, "", ""]);
  });
}

/** `edge-fleet <command> …` as the documents write it in code. */
function commandLines(text: string): string[] {
  const code = [...text.matchAll(/```sh\n(.*?)```|`([^`\n]+)`/gs)].map(([, block, inline]) => block ?? inline ?? "");
  return code
    .flatMap((part) => part.split(/\n|&&/))
    .flatMap((line) => /\bedge-fleet( +[a-z-].*)$/.exec(line)?.[1] ?? []);
}

for (const path of DOCUMENTS) {
  test(`${path} names commands and options that exist`, async () => {
    const program = await buildProgram();
    for (const line of commandLines(read(path))) {
      const [name = "", ...given] = line.split("#")[0]?.trim().split(/\s+/) ?? [];
      const [command, words] = name.startsWith("-")
        ? ([program, given] as const)
        : findCommand(program.commands, [name, ...given]);
      assert.ok(command, `edge-fleet ${line.trim()}`);
      const known = ["--help", ...command.options.map(({ long }) => long)];
      const end = words.indexOf("--");
      const own = end < 0 ? words : words.slice(0, end);
      for (const word of [name, ...own].filter((text) => text.startsWith("--")))
        assert.ok(known.includes(word), `edge-fleet ${line.trim()}: ${word}`);
    }
  });

  test(`${path} links to files and headings that exist`, () => {
    for (const [, target = ""] of read(path).matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = "", heading] = target.split("#");
      const linked = file === "" ? path : join(dirname(path), file);
      assert.ok(existsSync(join(REPOSITORY, linked)), target);
      if (heading !== undefined) assert.ok(headings(read(linked)).includes(heading), target);
    }
  });
}

/** Anchors of a document's headings. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) => githubAnchor(title));
}

test("the README has less than 150 lines", () => {
  assert.ok(read("README.md").split("\n").length < 150);
});

test("the tests that the threat model rests on exist, by file and title", () => {
  const named = [...read("docs/threats.md").matchAll(/`(test\/[^`]+\.test\.ts)`(?: "([^"]+)")?/g)];
  assert.ok(named.length > 30);
  const gone = named.filter(([, file = "", title = ""]) => !read(file).includes(title)).map(([whole]) => whole);
  assert.deepEqual(gone, []);
});

test("the README's table of configuration keys is that of Pulumi.yaml", () => {
  const { config } = parse(read("Pulumi.yaml")) as { config: Record<string, { default: unknown }> };
  const table = read("README.md").split("## Configuration of a stack")[1] ?? "";
  const rows = [...table.matchAll(/^\| `(\w+)` +\| (?:`([^`]+)`|empty) +\|/gm)].map(([, key, value]) => [
    key,
    value ?? "",
  ]);
  const expected = Object.entries(config).map(([key, { default: value }]) => [key.split(":")[1], String(value)]);
  assert.deepEqual(rows, expected);
});
