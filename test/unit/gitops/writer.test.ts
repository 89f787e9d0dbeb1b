import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { MANIFEST_FILE } from "../../../components/gitops/manifest.ts";
import { renderTree, type Tree } from "../../../components/gitops/tree.ts";
import {
  describeChanges,
  hasChanges,
  planTree,
  TreeRefusedError,
  writeTree,
} from "../../../components/gitops/writer.ts";
import { arbitraryFleet, EXAMPLE, inFolder, readFolder } from "./fleet.ts";
import { CHANGED, emitted, expected, write } from "./tree-folder.ts";

const OVERLAY = "overlays/osaka/n100-8g/kustomization.yaml";
test("a first write makes the tree and its manifest and nothing else", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    const { [MANIFEST_FILE]: manifest, ...files } = Object.fromEntries(readFolder(directory));
    assert.deepEqual(files, Object.fromEntries([...renderTree(EXAMPLE)].map(([path, { content }]) => [path, content])));
    assert.equal(Object.keys(JSON.parse(manifest ?? "").files).length, expected(renderTree(EXAMPLE)).length);
  });
});

test("the folder need not exist", () => {
  inFolder((directory) => {
    write(join(directory, "repository/fleet"), EXAMPLE);
    assert.ok(existsSync(join(directory, "repository/fleet", OVERLAY)));
  });
});

test("an unchanged tree is not touched", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    const times = () =>
      [".", ...readFolder(directory).keys()].map((path) => [path, statSync(join(directory, path)).ctimeMs]);
    const before = times();
    const changes = planTree(directory, renderTree(EXAMPLE));
    assert.equal(hasChanges(changes), false);
    assert.deepEqual(describeChanges(changes), [`${renderTree(EXAMPLE).size} file(s) unchanged`]);
    writeTree(directory, changes);
    assert.deepEqual(times(), before);
  });
});

test("only what changed is written, what fell out is deleted and its empty folders go", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    const changes = planTree(directory, renderTree(CHANGED));
    assert.deepEqual(
      changes.update.map(({ path }) => path),
      ["components/model/rpi4-4g/kustomization.yaml"],
    );
    assert.deepEqual(
      changes.delete.map(({ path }) => path),
      [
        "applicationsets/osaka.yaml",
        "components/region/osaka/kustomization.yaml",
        ...EXAMPLE.rings.toSorted().map((ring) => `entry/${ring}/osaka/n100-8g/kustomization.yaml`),
        "overlays/osaka/n100-8g/kustomization.yaml",
        "overlays/osaka/rpi4-4g/kustomization.yaml",
      ],
    );
    writeTree(directory, changes);
    assert.deepEqual(emitted(directory, renderTree(CHANGED)), expected(renderTree(CHANGED)));
    assert.equal(existsSync(join(directory, "overlays/osaka")), false);
    assert.ok(existsSync(join(directory, "components/region/osaka/team/kustomization.yaml")), "the team's file stays");
  });
});

test("a hand-edited emitted file stops the whole write, with place, difference and fix", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    const file = join(directory, OVERLAY);
    writeFileSync(file, readFileSync(file, "utf8").replace("namespace: edge-apps", "namespace: kube-system"));
    const before = readFolder(directory);
    const changes = planTree(directory, renderTree(CHANGED));
    assert.throws(() => writeTree(directory, changes), TreeRefusedError);
    const same = planTree(directory, renderTree(EXAMPLE));
    assert.throws(() => writeTree(directory, same), {
      message: `${directory}: 1 file(s) cannot be written or deleted:
refuse ${OVERLAY}: ${directory}/${OVERLAY}:6:1 was not written by edge-fleet - move your change to the file that its header names, delete this one and run \`edge-fleet render\`
    --- on disk
    +++ rendered
    @@ line 6 @@
     kind: Kustomization
    -namespace: kube-system
    +namespace: edge-apps
     resources:`,
    });
    assert.deepEqual(readFolder(directory), before);
  });
});

test("a hand-edited file that fell out of the inventory is refused, not deleted", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    writeFileSync(join(directory, OVERLAY), "mine");
    const { refused } = planTree(directory, renderTree(CHANGED));
    assert.deepEqual(
      refused.map(({ path, reason }) => [path, reason]),
      [[OVERLAY, "fell out of the inventory but was changed by hand"]],
    );
  });
});

test("a deleted emitted file comes back; a deleted file of a finished scaffold does not", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    rmSync(join(directory, OVERLAY));
    rmSync(join(directory, "base/service.yaml"));
    write(directory, EXAMPLE);
    assert.ok(existsSync(join(directory, OVERLAY)));
    assert.equal(existsSync(join(directory, "base/service.yaml")), false);
  });
});

test("a lost manifest is made again when the files are the rendered ones", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    const before = readFolder(directory);
    rmSync(join(directory, MANIFEST_FILE));
    write(directory, EXAMPLE);
    assert.deepEqual(readFolder(directory), before);
  });
});

for (const text of ["<<<<<<< HEAD\n", '{"version": 2, "files": {}}', '{"version": 1, "files": {"a": "b"}}']) {
  test(`a broken manifest (${JSON.stringify(text)}) is named with its fix`, () => {
    inFolder((directory) => {
      write(directory, EXAMPLE);
      writeFileSync(join(directory, MANIFEST_FILE), text);
      assert.throws(() => planTree(directory, renderTree(EXAMPLE)), {
        message: /\.fleet-manifest\.json: is not a manifest of edge-fleet \(.+\) - restore it with `git checkout -- /,
      });
    });
  });
}

for (const [what, prepare, path, reason] of [
  [
    "a file that is a symbolic link",
    (at: string) => symlinkSync("/etc/hostname", at),
    OVERLAY,
    `${OVERLAY} is a symbolic link`,
  ],
  ["a dangling symbolic link", (at: string) => symlinkSync("/nowhere", at), OVERLAY, `${OVERLAY} is a symbolic link`],
  [
    "a folder that is a symbolic link",
    (at: string) => symlinkSync("/tmp", at),
    "overlays",
    "overlays is a symbolic link",
  ],
  [
    "a file where a folder must be",
    (at: string) => writeFileSync(at, ""),
    "overlays/osaka",
    "overlays/osaka is not a folder",
  ],
  ["a folder where a file must be", (at: string) => mkdirSync(at), OVERLAY, `${OVERLAY} is not a regular file`],
  [
    "a manifest that is a symbolic link",
    (at: string) => symlinkSync("/nowhere", at),
    MANIFEST_FILE,
    `${MANIFEST_FILE} is a symbolic link`,
  ],
] as const) {
  test(`refuses ${what} and writes nothing`, () => {
    inFolder((directory) => {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      prepare(join(directory, path));
      const before = readFolder(directory);
      const changes = planTree(directory, renderTree(EXAMPLE));
      assert.ok(
        changes.refused.some((refusal) => refusal.reason === reason),
        JSON.stringify(changes.refused),
      );
      assert.throws(() => writeTree(directory, changes), TreeRefusedError);
      assert.deepEqual(readFolder(directory), before);
    });
  });
}

for (const path of [
  "../outside.yaml",
  "/etc/outside.yaml",
  "a/../../outside.yaml",
  "a//b.yaml",
  "./a.yaml",
  "a\\b.yaml",
]) {
  test(`refuses the path ${path} in a tree and in a manifest`, () => {
    inFolder((directory) => {
      const tree: Tree = new Map([[path, { content: "x\n", owner: "emitted" }]]);
      assert.equal(planTree(directory, tree).refused[0]?.reason, "the path leaves the folder of the tree");
      const manifest = { version: 1, files: { [path]: "0".repeat(64) } };
      writeFileSync(join(directory, MANIFEST_FILE), JSON.stringify(manifest));
      assert.equal(planTree(directory, new Map()).refused[0]?.path, path);
    });
  });
}

test("refuses to write over what changed since the plan", () => {
  inFolder((directory) => {
    const changes = planTree(directory, renderTree(EXAMPLE));
    mkdirSync(join(directory, "applicationsets"));
    writeFileSync(join(directory, "applicationsets/osaka.yaml"), "mine");
    assert.throws(() => writeTree(directory, changes), /osaka\.yaml: has changed since it was planned - run again/);
    assert.equal(readFileSync(join(directory, "applicationsets/osaka.yaml"), "utf8"), "mine");
  });
});

test("any sequence of fleets ends in the last one's tree, and the team's files stay byte for byte", () => {
  const edit = fc.record({
    path: fc.constantFrom(
      "base/own.yaml",
      "base/deployment.yaml",
      "components/model/x/team/p.yaml",
      "README.md",
      "overlays/README.md",
      "docs/a/b.txt",
    ),
    content: fc.string(),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(arbitraryFleet, fc.array(edit, { maxLength: 3 })), { minLength: 1, maxLength: 4 }),
      (rounds) => {
        inFolder((directory) => {
          const team = new Map<string, string>();
          for (const [fleet, edits] of rounds) {
            for (const { path, content } of edits) {
              mkdirSync(dirname(join(directory, path)), { recursive: true });
              writeFileSync(join(directory, path), content);
              team.set(path, readFileSync(join(directory, path), "utf8"));
            }
            write(directory, fleet);
            assert.deepEqual(emitted(directory, renderTree(fleet)), expected(renderTree(fleet)));
            assert.equal(hasChanges(planTree(directory, renderTree(fleet))), false);
            for (const [path, content] of team)
              assert.equal(readFileSync(join(directory, path), "utf8"), content, path);
          }
        });
      },
    ),
    { numRuns: 25 },
  );
});
