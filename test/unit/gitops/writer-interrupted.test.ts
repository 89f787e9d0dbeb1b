/** Kills, crashes and second writers: whatever stops a write, the next one completes it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MANIFEST_FILE } from "../../../components/gitops/manifest.ts";
import { SCRATCH_FOLDER } from "../../../components/gitops/scratch.ts";
import { renderTree } from "../../../components/gitops/tree.ts";
import type { TreeInput } from "../../../components/gitops/tree-input.ts";
import { hasChanges, planTree, writeSteps, writeTree } from "../../../components/gitops/writer.ts";
import { EXAMPLE, inFolder, readFolder } from "./fleet.ts";
import { CHANGED, emitted, expected, write } from "./tree-folder.ts";

const OVERLAY = "overlays/osaka/n100-8g/kustomization.yaml";

test("two writers of the same plan agree", () => {
  inFolder((directory) => {
    const [first, second] = [planTree(directory, renderTree(EXAMPLE)), planTree(directory, renderTree(EXAMPLE))];
    writeTree(directory, first);
    const before = readFolder(directory);
    writeTree(directory, second);
    assert.deepEqual(readFolder(directory), before);
  });
});

test("a write that stops between any two steps is completed by the next, whatever the inventory says by then", () => {
  for (const next of [CHANGED, EXAMPLE]) {
    for (let steps = 0, ended = false; !ended; steps++) {
      inFolder((directory) => {
        write(directory, EXAMPLE);
        ended = stopAfter(directory, CHANGED, steps);
        write(directory, next);
        assert.deepEqual(emitted(directory, renderTree(next)), expected(renderTree(next)), `stopped after ${steps}`);
        assert.equal(hasChanges(planTree(directory, renderTree(next))), false, `stopped after ${steps}`);
        assert.equal(existsSync(join(directory, SCRATCH_FOLDER)), false);
      });
    }
  }
});

test("a first write that stops between any two steps leaves a scaffold that the next completes", () => {
  for (let steps = 0, ended = false; !ended; steps++) {
    inFolder((directory) => {
      ended = stopAfter(directory, EXAMPLE, steps);
      write(directory, EXAMPLE);
      assert.deepEqual([...readFolder(directory).keys()].sort(), [MANIFEST_FILE, ...renderTree(EXAMPLE).keys()].sort());
    });
  }
});

for (const steps of [1, 2, 9]) {
  test(`a process killed after ${steps} step(s) leaves no lock behind that stops the next`, () => {
    inFolder((directory) => {
      const components = join(import.meta.dirname, "../../../components/gitops");
      const script = `
        import { EXAMPLE } from ${JSON.stringify(join(import.meta.dirname, "fleet.ts"))};
        import { renderTree } from ${JSON.stringify(join(components, "tree.ts"))};
        import { planTree, writeSteps } from ${JSON.stringify(join(components, "writer.ts"))};
        const directory = ${JSON.stringify(directory)};
        let count = 0;
        for (const _ of writeSteps(directory, planTree(directory, renderTree(EXAMPLE))))
          if (++count === ${steps}) process.kill(process.pid, "SIGKILL");
      `;
      const { signal, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
        encoding: "utf8",
      });
      assert.equal(signal, "SIGKILL", stderr);
      assert.ok(existsSync(join(directory, SCRATCH_FOLDER)));
      write(directory, EXAMPLE);
      assert.deepEqual([...readFolder(directory).keys()].sort(), [MANIFEST_FILE, ...renderTree(EXAMPLE).keys()].sort());
    });
  });
}

test("a folder that a live process writes is not written by a second one", () => {
  inFolder((directory) => {
    mkdirSync(join(directory, SCRATCH_FOLDER));
    writeFileSync(join(directory, SCRATCH_FOLDER, "lock"), String(process.ppid));
    const changes = planTree(directory, renderTree(EXAMPLE));
    assert.throws(() => writeTree(directory, changes, 200), /process \d+ is writing the tree - wait for it/);
    assert.equal(existsSync(join(directory, OVERLAY)), false);
  });
});

/** Carries out some steps of a write and drops the rest, as a kill does. True when there was nothing left to drop. */
function stopAfter(directory: string, fleet: TreeInput, steps: number): boolean {
  const writing = writeSteps(directory, planTree(directory, renderTree(fleet)));
  for (let step = 0; step < steps; step++) if (writing.next().done) return true;
  return false;
}
