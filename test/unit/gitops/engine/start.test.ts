/**
 * What runs before the repo-server, on the emitted text itself, by the shells that an image may have: after a power cut the
 * real Git checks out again, and nothing of a checkout that is whole is lost.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { containerOf } from "./objects.ts";

const { args } = containerOf("argocd-repo-server");
const [shell, option, script = "", ...command] = args;

const git = (folder: string, ...rest: string[]): string =>
  execFileSync("git", ["-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", ...rest], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });

/** A folder of checkouts as the repo-server leaves it: a clone of two commits, closed for everyone. */
function checkouts(context: TestContext): { root: string; clone: string; first: string } {
  const root = mkdtempSync(join(tmpdir(), "edge-fleet-checkouts-"));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  const clone = join(root, "clone");
  mkdirSync(clone);
  git(clone, "init", "--quiet");
  for (const text of ["one", "two"]) {
    writeFileSync(join(clone, "file"), text);
    git(clone, "add", "file");
    git(clone, "commit", "--quiet", "-m", text);
  }
  const first = git(clone, "rev-parse", "HEAD~1").trim();
  return { root, clone, first };
}

/** Runs the script over a folder, with a program in the repo-server's place that prints what it is called with. */
function start(interpreter: readonly string[], root: string): string {
  const bin = mkdtempSync(join(tmpdir(), "edge-fleet-bin-"));
  writeFileSync(join(bin, "argocd-repo-server"), '#!/bin/sh\necho "started $*"\n', { mode: 0o755 });
  const [program = "", ...before] = interpreter;
  const text = script.replaceAll("/tmp/_argocd-repo", root);
  const result = spawnSync(program, [...before, "-c", text, ...command], {
    encoding: "utf8",
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  });
  rmSync(bin, { recursive: true });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

test("the repo-server is started by a shell, with its own arguments", (context) => {
  assert.deepEqual([shell, option], ["sh", "-c"]);
  const { root } = checkouts(context);
  assert.equal(start(["sh"], root), `started ${command.slice(1).join(" ")}\n`);
  assert.ok(command.length >= 4);
});

for (const interpreter of [["dash"], ["busybox", "ash"]]) {
  const name = interpreter.join(" ");

  test(`${name}: what a power cut leaves of a checkout no longer stops Git, and no commit is lost`, (context) => {
    const { root, clone, first } = checkouts(context);
    const inside = (path: string) => join(clone, ".git", path);
    for (const lock of ["index.lock", "HEAD.lock", "refs/heads/main.lock", "packed-refs.lock"]) {
      mkdirSync(join(inside(lock), ".."), { recursive: true });
      writeFileSync(inside(lock), "");
    }
    writeFileSync(inside("index"), readFileSync(inside("index")).subarray(0, 40));
    writeFileSync(join(clone, "file"), "");
    assert.throws(() => git(clone, "checkout", "--force", first), /index\.lock|index file/);
    chmodSync(clone, 0o000);
    chmodSync(root, 0o300);
    start(interpreter, root);
    assert.equal(statSync(root).mode & 0o777, 0o700);
    git(clone, "checkout", "--quiet", "--force", first);
    git(clone, "clean", "-ffdx");
    assert.equal(readFileSync(join(clone, "file"), "utf8"), "one");
    assert.equal(git(clone, "status", "--porcelain"), "");
    assert.equal(git(clone, "fsck", "--full", "--no-dangling"), "");
  });

  test(`${name}: a clone that had just begun and a chart that nobody remembers go, a file stays`, (context) => {
    const { root, clone } = checkouts(context);
    mkdirSync(join(root, "begun", ".git", "objects"), { recursive: true });
    writeFileSync(join(root, "begun", ".git", "HEAD"), "");
    mkdirSync(join(root, "chart", "templates"), { recursive: true });
    writeFileSync(join(root, "note"), "");
    start(interpreter, root);
    assert.deepEqual(
      ["begun", "chart", "note"].map((path) => existsSync(join(root, path))),
      [false, false, true],
    );
    assert.equal(
      git(clone, "status", "--porcelain", "--untracked-files=no").includes("file"),
      true,
      "without an index",
    );
    git(clone, "reset", "--quiet", "--hard");
    assert.equal(git(clone, "status", "--porcelain"), "");
  });

  test(`${name}: an empty folder is no failure`, (context) => {
    const root = mkdtempSync(join(tmpdir(), "edge-fleet-checkouts-"));
    context.after(() => rmSync(root, { recursive: true, force: true }));
    assert.match(start(interpreter, root), /^started /);
  });
}

test("shellcheck has nothing to say", () => {
  const { status, stdout } = spawnSync("shellcheck", ["-s", "sh", "-"], { encoding: "utf8", input: script });
  assert.equal(status, 0, stdout);
});

test("Git takes its settings, with a system file to include and without", (context) => {
  const { root, clone } = checkouts(context);
  const file = join(root, "gitconfig");
  const text = readFileSync(join(import.meta.dirname, "../../../golden/engine/argocd-4096.yaml"), "utf8");
  const block = /gitconfig: \|\n((?: {4}.*\n)+)/.exec(text)?.[1] ?? "";
  writeFileSync(file, block.replaceAll(/^ {4}/gm, ""));
  const list = execFileSync("git", ["-C", clone, "config", "--system", "--includes", "--list"], {
    encoding: "utf8",
    env: { ...process.env, GIT_CONFIG_SYSTEM: file },
  });
  assert.deepEqual(
    ["core.fsync=all", "http.lowspeedlimit=10", "http.lowspeedtime=60"].filter((line) => !list.includes(line)),
    [],
  );
});
