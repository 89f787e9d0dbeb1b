/** Stand-ins for the WASM shims: archives as their publishers pack them. No part of the product. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * A shim's archive, with a folder and a signature beside the binary.
 * @param content the binary
 * @param name its file name. Default: that of the spin shim
 */
export function shimArchive(content: string, name = "containerd-shim-spin-v2"): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-shim-"));
  try {
    mkdirSync(join(folder, "bin"));
    writeFileSync(join(folder, "bin", name), content, { mode: 0o755 });
    writeFileSync(join(folder, "bin", `${name}.sig`), "signature");
    const { status } = spawnSync("tar", ["-czf", join(folder, "shim.tar.gz"), "-C", folder, "bin"]);
    assert.equal(status, 0);
    return readFileSync(join(folder, "shim.tar.gz"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
