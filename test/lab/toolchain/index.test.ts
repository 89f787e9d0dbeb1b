/** That an installed tool is used instead of a built one, and what counts as installed. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, test } from "node:test";
import { ensureToolchain, installedPart } from "./index.ts";
import { acceptedVersion, buildArguments, GO_PARTS, type GoPart } from "./parts.ts";

const scratch = mkdtempSync(join(tmpdir(), "edge-fleet-toolchain-"));
const cache = join(scratch, "cache");
process.env.EDGE_FLEET_CACHE = cache;
after(() => rmSync(scratch, { recursive: true }));

/** A folder with one program that prints `text` and ends with `code`. */
function installed(folder: string, name: string, text: string, code = 0): string {
  const directory = join(scratch, folder);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, name), `#!/bin/sh\necho '${text}'\nexit ${code}\n`);
  chmodSync(join(directory, name), 0o755);
  return directory;
}

function part(name: string): GoPart {
  const found = GO_PARTS.find((candidate) => candidate.name === name);
  assert.ok(found);
  return found;
}

test("an installed pulumi is used with its own plugins, and nothing is built", async () => {
  const path = process.env.PATH ?? "";
  const directory = installed("new", "pulumi", "v3.300.1");
  process.env.PATH = [directory, path].join(delimiter);
  try {
    const lines: string[] = [];
    const toolchain = await ensureToolchain(
      (line) => lines.push(line),
      ["pulumi", "pulumi-language-nodejs", "pulumi-resource-command", "pulumi-resource-kubernetes"],
    );
    assert.deepEqual(
      toolchain.parts.map(({ name, real, path }) => ({ name, real, path })),
      ["pulumi", "pulumi-language-nodejs", "pulumi-resource-command", "pulumi-resource-kubernetes"].map((name) => ({
        name,
        real: true,
        path: join(directory, "pulumi"),
      })),
    );
    assert.deepEqual(readdirSync(toolchain.binDir), [], "no stand-in may shadow an installed plugin");
    assert.ok(toolchain.env.PATH?.startsWith(`${toolchain.binDir}${delimiter}${directory}`));
    assert.equal(toolchain.env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION, undefined);
    assert.equal(lines.filter((line) => line.startsWith("building")).length, 0);
    assert.deepEqual(
      readdirSync(cache).filter((name) => name.startsWith("pulumi")),
      [],
    );
  } finally {
    process.env.PATH = path;
  }
});

test("the stand-in language host alone yields to an installed pulumi too", async () => {
  const path = process.env.PATH ?? "";
  process.env.PATH = [installed("new", "pulumi", "v3.300.1"), path].join(delimiter);
  try {
    const toolchain = await ensureToolchain(() => {}, ["pulumi-language-nodejs"]);
    assert.deepEqual(readdirSync(toolchain.binDir), []);
    assert.equal(toolchain.parts[0]?.real, true);
  } finally {
    process.env.PATH = path;
  }
});

test("an installed host or provider replaces its stand-in, without an installed pulumi", async () => {
  const path = process.env.PATH ?? "";
  const directory = installed("official", "pulumi-language-nodejs", "3.259.0");
  process.env.PATH = installed("official", "pulumi-resource-command", "");
  try {
    const toolchain = await ensureToolchain(() => {}, ["pulumi-language-nodejs", "pulumi-resource-command"]);
    assert.deepEqual(
      toolchain.parts.map(({ name, real, path }) => ({ name, real, path })),
      ["pulumi-language-nodejs", "pulumi-resource-command"].map((name) => ({
        name,
        real: true,
        path: join(directory, name),
      })),
    );
    assert.deepEqual(readdirSync(toolchain.binDir), []);
  } finally {
    process.env.PATH = path;
  }
});

const unusable: { what: string; directory: () => string }[] = [
  { what: "one that is too old", directory: () => installed("old", "pulumi", "v3.255.0") },
  { what: "one that fails", directory: () => installed("broken", "pulumi", "v3.300.0", 1) },
  { what: "one that prints no version", directory: () => installed("mute", "pulumi", "hello") },
  { what: "one that this lab built itself", directory: () => installed("cache/bin-1", "pulumi", "v3.300.0") },
  { what: "an empty folder", directory: () => installed("empty", "other", "v3.300.0") },
];

for (const { what, directory } of unusable) {
  test(`${what} does not count as an installed pulumi`, async () => {
    assert.equal(await installedPart(part("pulumi"), directory()), undefined);
  });
}

test("a stand-in never counts as installed", async () => {
  const directory = installed("hub", "hub-apiserver", "v1.36.2");
  assert.equal(await installedPart(part("hub-apiserver"), directory), undefined);
});

const versions: { name: string; text: string; accepted: string | undefined }[] = [
  { name: "pulumi", text: "v3.256.0\n", accepted: "v3.256.0" },
  { name: "pulumi", text: "v4.0.0", accepted: "v4.0.0" },
  { name: "pulumi", text: "v3.99.9", accepted: undefined },
  { name: "pulumi", text: "3.260.0-alpha.1+dirty", accepted: "3.260.0-alpha.1+dirty" },
  { name: "kustomize", text: "v5.8.0", accepted: "v5.8.0" },
  { name: "kustomize", text: "{Version:kustomize/v4.5.7 GitCommit:x}", accepted: undefined },
  { name: "kubeconform", text: "v0.6.7", accepted: "v0.6.7" },
];

for (const { name, text, accepted } of versions) {
  test(`${name} that prints ${JSON.stringify(text)} is ${accepted ? "used" : "not used"}`, () => {
    const requirement = part(name).installed;
    assert.ok(requirement);
    assert.equal(acceptedVersion(text, requirement), accepted);
  });
}

test("every part is built reproducibly and without debug data", () => {
  for (const candidate of GO_PARTS) {
    const args = buildArguments(candidate);
    const expected = ["build", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false"];
    assert.deepEqual(args.slice(0, 4), expected, candidate.name);
    for (const flags of args.filter((arg) => arg.startsWith("-gcflags"))) assert.match(flags, /=-dwarf=false( -l)?$/);
    assert.match(args[args.indexOf("-ldflags") + 1] ?? "", /^-s -w/);
  }
});
