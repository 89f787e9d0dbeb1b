/** Asks a real Git repository. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { headRevision } from "../../../components/gitops/revision.ts";

let directory: string;
const tree = () => join(directory, "fleet");
const git = (...args: string[]) =>
  execFileSync("git", ["-C", directory, "-c", "user.name=t", "-c", "user.email=t@example.com", ...args], {
    encoding: "utf8",
  }).trim();

before(() => {
  directory = mkdtempSync(join(tmpdir(), "edge-fleet-git-"));
  mkdirSync(tree());
});
after(() => rmSync(directory, { recursive: true, force: true }));

test("there is no revision without a folder, a repository or a commit; then it is the full SHA of HEAD", async () => {
  assert.equal(await headRevision(join(directory, "missing")), undefined);
  assert.equal(await headRevision(tree()), undefined);
  git("init", "-q");
  assert.equal(await headRevision(tree()), undefined);
  writeFileSync(join(tree(), "a.yaml"), "a");
  git("add", ".");
  git("commit", "-q", "-m", "a");
  assert.equal(await headRevision(tree()), git("rev-parse", "HEAD"));
});

test("Git's own variables, as a hook has them, do not lead to another repository", async () => {
  process.env.GIT_DIR = "/nonexistent";
  try {
    assert.match((await headRevision(tree())) ?? "", /^[0-9a-f]{40}$/);
  } finally {
    delete process.env.GIT_DIR;
  }
});

test("a repository with SHA-256 objects is refused: Argo CD pins 40 digits only", async () => {
  const other = join(directory, "sha256");
  mkdirSync(other);
  git("-C", other, "init", "-q", "--object-format=sha256");
  git("-C", other, "commit", "-q", "--allow-empty", "-m", "a");
  await assert.rejects(headRevision(other), /not a 40-digit SHA - use a repository with SHA-1 objects/);
});
