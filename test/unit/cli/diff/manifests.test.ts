/** The changes of leaves, in groups of those that share one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { type DiffedLeaf, diffManifests, groupDifferences } from "../../../../cli/diff/manifests.ts";
import { type DiffReport, formatDiff, formatDiffMarkdown, summariseDiff } from "../../../../cli/diff/report.ts";
import { assertGolden } from "../../../golden.ts";

const [BASE, HEAD] = ["a".repeat(40), "b".repeat(40)];

/** What kustomize prints for objects. */
const manifests = (...objects: object[]): string => objects.map((object) => stringify(object)).join("---\n");

const deployment = (region: string, image: string, name = "web") => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: {
    labels: { "edge-fleet.dev/model": "rpi4", "edge-fleet.dev/region": region },
    name,
    namespace: "edge-apps",
  },
  spec: { template: { spec: { containers: [{ image, name: "main" }] } } },
});
const configMap = (value: string) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "c" },
  data: { value },
});
const secret = (data: Record<string, string>) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "s", namespace: "edge-apps" },
  data,
});

const leaf = (path: string, devices: number, base: string | undefined, head: string | undefined): DiffedLeaf => ({
  path,
  devices,
  difference: diffManifests(base, head),
});

test("the same manifests are unchanged, also when their objects come in another order", () => {
  const objects = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(objects, fc.nat(), (names, seed) => {
      const list = names.map((name) => deployment("tokyo", `app:${name}`, name));
      const rotated = [...list.slice(seed % list.length), ...list.slice(0, seed % list.length)];
      assert.deepEqual(diffManifests(manifests(...list), manifests(...rotated)), { kind: "unchanged" });
    }),
  );
});

test("a change shows the object, the lines that differ, and three lines around them", () => {
  const difference = diffManifests(
    manifests(deployment("tokyo", "app:1"), configMap("x")),
    manifests(deployment("tokyo", "app:2"), configMap("x")),
  );
  assert.deepEqual(difference, {
    kind: "changed",
    changes: [
      {
        object: "Deployment edge-apps/web",
        change: "changed",
        lines: [
          "@@",
          "   template:",
          "     spec:",
          "       containers:",
          "-        - image: app:1",
          "+        - image: app:2",
          "           name: main",
        ],
      },
    ],
  });
});

test("the lines that are shown make up for the difference in length, and are shown only where there is one", () => {
  const list = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 8 });
  fc.assert(
    fc.property(list, list, (old, young) => {
      const [base, head] = [old, young].map((lines) => stringify({ kind: "X", metadata: { name: "x" }, lines }));
      const difference = diffManifests(base, head);
      if (difference.kind !== "changed") return assert.deepEqual(old, young);
      const lines = difference.changes.flatMap((change) => change.lines);
      const count = (sign: string) => lines.filter((line) => line.startsWith(sign)).length;
      const length = (text: string | undefined) => text?.trimEnd().split("\n").length ?? 0;
      assert.equal(count("+") - count("-"), length(head) - length(base));
      assert.ok(count("+") + count("-") > 0);
    }),
  );
});

test("leaves share a group when the same lines change, whatever their region and surroundings are", () => {
  const change = (region: string) =>
    leaf(`overlays/${region}/rpi4`, 10, manifests(deployment(region, "app:1")), manifests(deployment(region, "app:2")));
  const other = leaf(
    "overlays/paris/nuc",
    500,
    manifests(deployment("paris", "app:1")),
    manifests(deployment("paris", "app:3")),
  );
  const same = manifests(configMap("x"));
  const groups = groupDifferences([change("tokyo"), change("osaka"), other, leaf("overlays/rome/rpi4", 9, same, same)]);
  assert.deepEqual(
    groups.map(({ paths, devices }) => [paths, devices]),
    [
      [["overlays/paris/nuc"], 500],
      [["overlays/osaka/rpi4", "overlays/tokyo/rpi4"], 20],
    ],
  );
});

test("a new leaf, one that is gone, and one that does not build are told apart", () => {
  const text = manifests(configMap("x"));
  const groups = groupDifferences([
    leaf("overlays/a/m", 1, undefined, text),
    leaf("overlays/b/m", 2, text, undefined),
    { path: "overlays/c/m", devices: 3, difference: { kind: "failed", at: "head", message: "no such file" } },
  ]);
  assert.deepEqual(
    groups.map(({ difference }) => difference.kind),
    ["failed", "removed", "added"],
  );
});

test("an object of the same name and another kind or group is another object", () => {
  const ingress = (apiVersion: string) => ({ apiVersion, kind: "Ingress", metadata: { name: "i" } });
  const difference = diffManifests(
    manifests(ingress("extensions/v1beta1")),
    manifests(ingress("networking.k8s.io/v1")),
  );
  assert.deepEqual(difference.kind === "changed" && difference.changes.map(({ change }) => change).sort(), [
    "added",
    "removed",
  ]);
  const version = diffManifests(
    manifests(ingress("networking.k8s.io/v1beta1")),
    manifests(ingress("networking.k8s.io/v1")),
  );
  assert.deepEqual(version.kind === "changed" && version.changes.map(({ change }) => change), ["changed"]);
});

for (const [what, base, head] of [
  ["changed", { password: "aHVudGVyMg==" }, { password: "aHVudGVyMw==" }],
  ["new", undefined, { password: "aHVudGVyMw==" }],
  ["gone", { password: "aHVudGVyMg==" }, undefined],
] as const) {
  test(`the value of a ${what} Secret is never shown, and that it is ${what} is`, () => {
    const text = (data: Record<string, string> | undefined) =>
      manifests(configMap("x"), ...(data ? [secret(data)] : []));
    const groups = groupDifferences([leaf("overlays/a/m", 1, text(base), text(head))]);
    assert.equal(groups.length, 1);
    const report = { base: { name: "main", commit: BASE }, head: { name: "HEAD", commit: HEAD }, groups, unchanged: 0 };
    for (const shown of [JSON.stringify(groups), formatDiff(report), formatDiffMarkdown(report)]) {
      assert.doesNotMatch(shown, /aHVudGVy/);
      assert.match(shown, /hidden/);
    }
  });
}

const REPORT: DiffReport = {
  base: { name: "origin/main", commit: BASE },
  head: { name: "HEAD", commit: HEAD },
  unchanged: 3,
  groups: groupDifferences([
    ...["osaka", "tokyo"].map((region) =>
      leaf(
        `overlays/${region}/rpi4`,
        20,
        manifests(deployment(region, "app:1")),
        manifests(deployment(region, "app:2"), configMap("```sh\nx")),
      ),
    ),
    leaf("overlays/paris/nuc", 3, undefined, manifests(configMap("x"))),
    {
      path: "overlays/rome/<nuc>",
      devices: 1,
      difference: { kind: "failed", at: "head", message: "base/x.yaml: no such file" },
    },
  ]),
};

test("a report for a terminal and one for a pull request", () => {
  assertGolden("diff/report.txt", formatDiff(REPORT));
  assertGolden("diff/report.md", formatDiffMarkdown(REPORT));
});

test("nothing to tell is one line", () => {
  assert.equal(
    summariseDiff({ ...REPORT, groups: [] }),
    `origin/main (${BASE.slice(0, 12)}) -> HEAD (${HEAD.slice(0, 12)}): no rendered change in 3 folder(s)`,
  );
});

test("a comment stays below what GitHub accepts and says what it left out", () => {
  const leaves = Array.from({ length: 40 }, (_, index) => {
    const value = (text: string) => manifests(configMap(`${text}${index}\n`.repeat(120)));
    return leaf(`overlays/region-${index}/m`, 1, value("old"), value("young"));
  });
  const groups = groupDifferences(leaves);
  assert.equal(groups.length, 40);
  const text = formatDiffMarkdown({ ...REPORT, groups });
  assert.ok(text.length < 65_536, String(text.length));
  const [, left] = /(\d+) more group\(s\) are left out: run `edge-fleet diff/.exec(text) ?? [];
  assert.equal((text.match(/<details>/g)?.length ?? 0) + Number(left), 40);
  assert.equal(text.match(/<details>/g)?.length, text.match(/<\/details>/g)?.length);
});
