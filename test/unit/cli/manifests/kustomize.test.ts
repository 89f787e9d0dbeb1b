/** Kustomize as it is run: what of its failure is told. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { buildFolder } from "../../../../cli/manifests/kustomize.ts";
import { temporaryDirectory } from "../inventory.ts";

const REASON = "accumulating resources: 'gone.yaml': lstat base/gone.yaml: no such file or directory";

for (const [program, line] of [
  ["kustomize", `Error: ${REASON}`],
  ["kubectl", `error: ${REASON}`],
  ["kubectl", `E1128 06:12:38.625172   11685 run.go:72] "command failed" err="${REASON}"`],
] as const) {
  test(`${program} fails with ${line.slice(0, 24)}…: the reason alone is told, without time and process`, async (context) => {
    const folder = temporaryDirectory(context);
    writeFileSync(join(folder, program), `#!/bin/sh\ncat >&2 <<'END'\n${line}\nEND\nexit 1\n`, { mode: 0o755 });
    const path = process.env.PATH;
    process.env.PATH = program === "kustomize" ? `${folder}:${path}` : `${folder}:/usr/bin`;
    context.after(() => {
      process.env.PATH = path;
    });
    const { failure = "" } = (await buildFolder(folder, ".")) as { failure?: string };
    assert.equal(failure.replace(/^error: /, ""), REASON);
  });
}
