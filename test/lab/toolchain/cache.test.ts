/** What changes a build's key, and that one process fills a cache folder while the others wait. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { cached, cacheKey, cacheRoot, lock } from "./cache.ts";

const scratch = mkdtempSync(join(tmpdir(), "edge-fleet-cache-"));
after(() => rmSync(scratch, { recursive: true }));

function module(name: string, files: Record<string, string>): string {
  const directory = join(scratch, name);
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(join(directory, file, ".."), { recursive: true });
    writeFileSync(join(directory, file), content);
  }
  return directory;
}

const files = { "go.mod": "module m", "go.sum": "s", "main.go": "package main", "inner/a.go": "package inner" };
const base = cacheKey(module("base", files), "go1.26 linux amd64", ["-s"]);

test("a build's key does not depend on where the checkout lies", () => {
  assert.equal(cacheKey(module("elsewhere", files), "go1.26 linux amd64", ["-s"]), base);
  assert.match(base, /^[0-9a-f]{16}$/);
});

test("a build's key does not depend on the module's own tests", () => {
  assert.equal(cacheKey(module("tested", { ...files, "main_test.go": "x" }), "go1.26 linux amd64", ["-s"]), base);
});

const changes: { what: string; files?: Record<string, string>; compiler?: string; flags?: string[] }[] = [
  { what: "a source file", files: { ...files, "inner/a.go": "package inner // changed" } },
  { what: "go.mod", files: { ...files, "go.mod": "module n" } },
  { what: "go.sum", files: { ...files, "go.sum": "t" } },
  { what: "a new file", files: { ...files, "b.go": "" } },
  {
    what: "a file's name",
    files: { "go.mod": "module m", "go.sum": "s", "main.go": "package main", "inner/b.go": "package inner" },
  },
  { what: "the compiler", compiler: "go1.27 linux amd64" },
  { what: "the flags", flags: ["-s", "-w"] },
];

for (const [
  index,
  { what, files: changed = files, compiler = "go1.26 linux amd64", flags = ["-s"] },
] of changes.entries()) {
  test(`a build's key changes with ${what}`, () => {
    assert.notEqual(cacheKey(module(`changed-${index}`, changed), compiler, flags), base);
  });
}

const roots: { env: NodeJS.ProcessEnv; root: RegExp }[] = [
  { env: { EDGE_FLEET_CACHE: "/c", XDG_CACHE_HOME: "/x" }, root: /^\/c$/ },
  { env: { XDG_CACHE_HOME: "/x" }, root: /^\/x\/edge-fleet$/ },
  { env: {}, root: /\/\.cache\/edge-fleet$/ },
];

for (const { env, root } of roots) {
  test(`the cache of environment ${JSON.stringify(env)} is ${root.source}`, () => assert.match(cacheRoot(env), root));
}

test("of two that want the same folder at once, one fills it and both get it", async () => {
  const root = join(scratch, "shared");
  let filled = 0;
  const fill = async (directory: string) => {
    filled++;
    await sleep(300);
    writeFileSync(join(directory, "tool"), "complete");
  };
  const paths = await Promise.all([1, 2, 3].map(() => cached(root, "tool-1", fill, () => {})));
  assert.equal(filled, 1);
  assert.deepEqual(new Set(paths), new Set([join(root, "tool-1")]));
  assert.equal(readFileSync(join(root, "tool-1", "tool"), "utf8"), "complete");
  assert.deepEqual(readdirSync(root), ["tool-1"], "neither lock nor temporary folder stays");
});

test("a failed fill leaves nothing, so that the next one starts afresh", async () => {
  const root = join(scratch, "failing");
  const fail = async (directory: string) => {
    writeFileSync(join(directory, "half"), "");
    throw new Error("no space");
  };
  await assert.rejects(
    cached(root, "tool-1", fail, () => {}),
    /no space/,
  );
  assert.deepEqual(readdirSync(root), []);
});

test("leftovers of a run that was killed are removed and its lock is taken over", async () => {
  const root = join(scratch, "killed");
  mkdirSync(join(root, "tool-1.tmp-1"), { recursive: true });
  writeFileSync(join(root, "tool-1.lock"), String(await deadProcess()));
  await cached(
    root,
    "tool-1",
    async (directory) => writeFileSync(join(directory, "tool"), ""),
    () => {},
  );
  assert.deepEqual(readdirSync(root), ["tool-1"]);
});

test("a living owner's lock is waited for, and the wait is reported", async () => {
  const path = join(scratch, "living.lock");
  const reported: string[] = [];
  const release = await lock(path, () => {});
  const second = lock(path, (line) => reported.push(line));
  const order: string[] = [];
  second.then(() => order.push("second"));
  await sleep(300);
  order.push("released");
  release();
  (await second)();
  assert.deepEqual(order, ["released", "second"]);
  assert.deepEqual(reported, [`waiting for process ${process.pid}, which holds ${path}`]);
  assert.ok(!existsSync(path));
});

async function deadProcess(): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ["-p", "process.pid"]);
  return Number(stdout);
}
