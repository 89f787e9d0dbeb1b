import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkMirror, fillMirror } from "../../../cli/lock/mirror.ts";
import { mirrorPath, mirrorSums, planMirror } from "../../../cli/lock/mirror-layout.ts";
import { loadInventory, resolveProfile } from "../../../components/inventory/index.ts";
import { resolveArtifacts } from "../../../components/plan/artifact.ts";
import { answerAsRegistry, installOf } from "./argocd-release.ts";
import { edgeFleet } from "./command.ts";
import { serve } from "./http-server.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const entry = (url: string, text: string) => ({ field: url, file: { url, sha256: sha256(text) } });

const paths: [url: string, path: string | RegExp][] = [
  [
    "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s",
    "k3s-io/k3s/releases/download/v1.36.2+k3s1/k3s",
  ],
  ["https://example.com/a%2Fb/c", "a/b/c"],
  ["assertions/core22_7.assert", "assertions/core22_7.assert"],
  ["https://example.com/%2e%2e/%2e%2e/etc/passwd", "etc/passwd"],
  ["https://example.com/..%2F..%2Fetc/passwd", /hidden or has other characters/],
  ["https://example.com/.ssh/id", /hidden or has other characters/],
  ["https://example.com/a%00b", /hidden or has other characters/],
  ["https://example.com/a%0Ab", /hidden or has other characters/],
  ["https://example.com/a%20b", /hidden or has other characters/],
  ["https://example.com/a%5Cb", /hidden or has other characters/],
  ["https://example.com/-rf", /hidden or has other characters/],
  ["https://example.com/%zz", /hidden or has other characters/],
  ["https://example.com/a//b", /hidden or has other characters/],
  ["https://example.com/folder/", /hidden or has other characters/],
  ["https://example.com/", /hidden or has other characters/],
  ["https://example.com/k3s?token=x", /has a query/],
  ["https://example.com/SHA256SUMS", /that the mirror uses itself/],
  ["https://example.com/k3s.part", /that the mirror uses itself/],
  ["../../etc/passwd", /is neither a URL nor a path of plain names/],
];

for (const [url, path] of paths) {
  test(`in a mirror, ${JSON.stringify(url)} is ${path instanceof RegExp ? "refused" : path}`, () => {
    if (path instanceof RegExp) assert.throws(() => mirrorPath(url, "k3s.v1"), path);
    else assert.equal(mirrorPath(url, "k3s.v1"), path);
  });
}

test("two files of one path are one if their bytes are the same, else refused", () => {
  const [one, same, other] = [
    entry("https://a.example/k3s", "1"),
    entry("https://b.example/k3s", "1"),
    entry("https://b.example/k3s", "2"),
  ];
  assert.ok(one !== undefined && same !== undefined && other !== undefined);
  assert.equal(planMirror([one, same]).length, 1);
  assert.throws(() => planMirror([one, other]), /has the path of .*, k3s, but other bytes/);
  assert.throws(
    () => planMirror([one, entry("https://a.example/k3s/deep", "3")]),
    /lies below https:\/\/a\.example\/k3s/,
  );
});

test("the list keeps the files of other fleets and drops those of this one that are not right", () => {
  const files = planMirror([entry("https://a.example/one", "1"), entry("https://a.example/two", "2")]);
  const before = `${sha256("x")}  other/file\n${sha256("old")}  one\n${sha256("2")}  two\nnonsense\n`;
  const after = mirrorSums(before, files.slice(0, 1), files);
  assert.equal(after, `${sha256("1")}  one\n${sha256("x")}  other/file\n`);
});

test("a link in the mirror's folder is neither followed nor replaced", async (context) => {
  const directory = temporaryDirectory(context);
  const [folder, outside] = [join(directory, "mirror"), join(directory, "outside")];
  for (const path of [folder, outside]) mkdirSync(path);
  symlinkSync(outside, join(folder, "deep"));
  const server = await serve(context, (_, response) => response.end("1"));
  const files = planMirror([entry(`${server.url}/deep/file`, "1")]);
  const [outcome] = await fillMirror(folder, files, { directory, cache: directory });
  assert.equal(outcome?.state, "failed");
  assert.match(outcome?.message ?? "", /deep is a link or of another kind - remove it/);
  assert.deepEqual([existsSync(join(outside, "file")), server.requests], [false, []]);
});

const FILES: Readonly<Record<string, string>> = {
  "/v1.36.2%2Bk3s1/k3s": "k3s for amd64",
  "/v1.36.2%2Bk3s1/sha256sum-amd64.txt": `${sha256("k3s for amd64")}  k3s\n`,
  "/v3.2.0/manifests/crds/application-crd.yaml": "kind: A\n",
  "/v3.2.0/manifests/crds/applicationset-crd.yaml": "kind: B\n",
  "/v3.2.0/manifests/crds/appproject-crd.yaml": "kind: C\n",
};

test("a mirror is filled, checked, repaired, and is where devices look", async (context) => {
  const server = await serve(context, (request, response) => {
    if (answerAsRegistry(request, response)) return;
    const install = request.url === "/v3.2.0/manifests/namespace-install.yaml";
    const content = install ? installOf(request.headers.host ?? "", "v3.2.0") : FILES[request.url ?? ""];
    response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  const mirror = join(temporaryDirectory(context), "mirror");
  const stacks = writeInventory(context, {
    "fleet.yaml": `fleet: acme
git: { url: "https://git.example.com/fleet.git" }
rings: [canary]
ring: canary
k3s: { version: v1.36.2+k3s1 }
artifacts: { mirror: "https://mirror.example.com/edge" }
hub: { argocd: { version: v3.2.0 } }
gitops: { engine: none }
`,
    "models.yaml": "nuc: { architecture: amd64, memory: 4Gi }\n",
    "tokyo.yaml": "region: tokyo\ndevices:\n  - { id: a, host: h, model: nuc }\n",
  });
  rmSync(join(stacks, "artifacts.lock.yaml"));
  const run = async (...args: string[]) => {
    const cache = join(mirror, "..", "cache");
    const base = ["--k3s-base", server.url, "--argocd-base", server.url, "--mirror", mirror, "--cache", cache];
    const { exitCode, stdout } = await edgeFleet(["lock", "--inventory", stacks, "--json", ...base, ...args]);
    const report = JSON.parse(stdout) as { mirror: { path: string; state: string }[] };
    return { exitCode, states: report.mirror.map(({ state }) => state) };
  };
  assert.deepEqual(await run(), { exitCode: 0, states: Array(6).fill("fetched") });
  assert.equal(spawnSync("sha256sum", ["-c", "SHA256SUMS"], { cwd: mirror }).status, 0);

  const [artifact] = resolveArtifacts(resolveProfile(loadInventory(stacks), "a"), loadInventory(stacks).artifacts);
  const { pathname } = new URL(artifact?.url ?? "");
  const served = join(mirror, decodeURIComponent(pathname.replace("/edge/", "")));
  assert.equal(readFileSync(served, "utf8"), "k3s for amd64");

  const before = server.requests.length;
  assert.deepEqual(await run("--check"), { exitCode: 0, states: Array(6).fill("present") });
  writeFileSync(served, "damaged");
  rmSync(join(mirror, "v3.2.0/manifests/namespace-install.yaml"));
  assert.deepEqual((await run("--check")).states.sort(), ["failed", "missing", ...Array(4).fill("present")]);
  assert.equal(server.requests.length, before, "--check asks no server");
  assert.equal((await run("--check")).exitCode, 1);
  assert.deepEqual((await run()).states.sort(), ["fetched", "fetched", ...Array(4).fill("present")]);
  assert.deepEqual((await run("--check")).exitCode, 0);
});

test("what is wrong at its source is named and not listed", async (context) => {
  const directory = temporaryDirectory(context);
  const server = await serve(context, (_, response) => response.end("other bytes"));
  const files = planMirror([entry(`${server.url}/k3s`, "1"), entry("assertions/x.assert", "2")]);
  const outcomes = await fillMirror(join(directory, "mirror"), files, { directory, cache: directory });
  assert.deepEqual(
    outcomes.map(({ path, state }) => [path, state]),
    [
      ["assertions/x.assert", "failed"],
      ["k3s", "failed"],
    ],
  );
  assert.match(outcomes[0]?.message ?? "", /x\.assert: is not the locked file of .* - restore it from Git/);
  assert.match(outcomes[1]?.message ?? "", /\/k3s: has SHA-256 .*, locked is /);
  assert.equal(existsSync(join(directory, "mirror", "SHA256SUMS")), false);
  const checked = await checkMirror(join(directory, "mirror"), files);
  assert.deepEqual(new Set(checked.map(({ state }) => state)), new Set(["missing"]));
});
