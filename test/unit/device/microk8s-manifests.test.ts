/** What of a manifest that has changed goes on MicroK8s, where the device program prunes: by the shells of devices, with a kubectl that only tells. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { deviceProgram } from "../../../components/device/program.ts";

/** Says the names of a file's objects, and writes down what it is to delete. */
const KUBECTL = `#!/bin/sh
for last; do :; done
case " $* " in *" get "*) sed -n 's/^# //p' "$last" ;; *" delete "*) echo "$*" >>"\${0%/*}/deleted" ;; esac
`;

function prune(context: TestContext, shell: readonly string[], former: string, present: string): string {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-prune-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  writeFileSync(path("kubectl"), KUBECTL, { mode: 0o755 });
  writeFileSync(path("former.yaml"), former);
  writeFileSync(path("present.yaml"), present);
  writeFileSync(path("deleted"), "");
  const call = `KUBECTL=${path("kubectl")}; microk8s_prune_manifest ${path("former.yaml")} ${path("present.yaml")}`;
  const input = deviceProgram().text.replace(/^main "\$@"$/m, () => call);
  const [command = "", ...args] = shell;
  const { status, stderr } = spawnSync(command, args, { input, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(readFileSync(path("former.yaml"), "utf8"), present, "what is applied is kept");
  return readFileSync(path("deleted"), "utf8");
}

for (const shell of [["dash"], ["busybox", "ash"]]) {
  test(`${shell.join(" ")}: what left a file is deleted in the file's namespace, and nothing else`, (context) => {
    const secret = (name: string) => `# secret/${name}\nmetadata:\n  name: ${name}\n  namespace: sealed-secrets\n`;
    const deleted = prune(context, shell, `${secret("old")}---\n${secret("new")}`, secret("new"));
    assert.equal(deleted, "-n sealed-secrets delete secret/old --ignore-not-found --wait=false\n");
  });

  test(`${shell.join(" ")}: what another engine had is deleted where that one was`, (context) => {
    const root = (name: string, namespace: string) =>
      `# root/${name}\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\n`;
    const deleted = prune(context, shell, root("of-flux", "flux-system"), root("of-argocd", "argocd"));
    assert.equal(deleted, "-n flux-system delete root/of-flux --ignore-not-found --wait=false\n");
  });

  test(`${shell.join(" ")}: objects without a namespace are deleted all the same`, (context) => {
    const deleted = prune(context, shell, "# namespace/a\n# namespace/b\n", "# namespace/b\n");
    assert.equal(deleted, "-n default delete namespace/a --ignore-not-found --wait=false\n");
  });
}
