/** Which packages are installed for which missing commands, and what a user without root is told. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ensureDebianPackages, missingPackages } from "./debian.ts";

const folder = mkdtempSync(join(tmpdir(), "edge-fleet-debian-"));
after(() => rmSync(folder, { recursive: true }));

function provide(command: string): void {
  writeFileSync(join(folder, command), "#!/bin/sh\n");
  chmodSync(join(folder, command), 0o755);
}
provide("apt-get");
provide("lab-present");

const commands = {
  "lab-present": "present-package",
  "lab-absent": "b-package",
  "lab-absent-too": "a-package",
  "lab-absent-3": "b-package",
};

test("only packages of missing commands are named, each once", () => {
  assert.deepEqual(missingPackages(commands, folder), ["a-package", "b-package"]);
});

test("missing packages are installed after one update of the package lists, with one progress line", async () => {
  const ran: string[] = [];
  const reported: string[] = [];
  const run = async (command: string, args: readonly string[]) => {
    ran.push([command, ...args].join(" "));
    if (args[0] === "install") Object.keys(commands).forEach(provide);
  };
  await ensureDebianPackages((line) => reported.push(line), commands, { path: folder, root: true, run });
  assert.deepEqual(ran, ["apt-get update", "apt-get install --yes --no-install-recommends a-package b-package"]);
  assert.deepEqual(reported, ["installing Debian packages a-package, b-package"]);
  await ensureDebianPackages(() => assert.fail("nothing is missing"), commands, { path: folder, root: true, run });
  assert.equal(ran.length, 2, "nothing runs when no command is missing");
});

const refusals: { what: string; path: string; root: boolean }[] = [
  { what: "a user without root", path: folder, root: false },
  { what: "root on a machine without apt-get", path: "/nonexistent", root: true },
];

for (const { what, path, root } of refusals) {
  test(`${what} is told the line to run`, async () => {
    const run = async () => assert.fail("nothing may be run");
    await assert.rejects(
      ensureDebianPackages(() => {}, { "lab-never": "never-package" }, { path, root, run }),
      /never-package - run as root: apt-get update && apt-get install --yes --no-install-recommends never-package/,
    );
  });
}
