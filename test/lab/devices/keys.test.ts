import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { generateSshKey } from "./keys.ts";

test("ssh-keygen reads the private key and derives the same public key", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-keys-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "key");
  for (let round = 0; round < 5; round += 1) {
    const key = generateSshKey();
    writeFileSync(path, key.privateKey, { mode: 0o600 });
    assert.equal(execFileSync("ssh-keygen", ["-y", "-f", path], { encoding: "utf8" }).trim(), key.publicKey);
  }
});

test("each key is a new one", () => {
  const keys = Array.from({ length: 300 }, () => generateSshKey().publicKey);
  assert.equal(new Set(keys).size, 300);
});
