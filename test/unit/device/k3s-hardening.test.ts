import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { renderBase } from "../../../components/gitops/scaffold.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { kubeletReservations, podMemoryMiB } from "../../../components/plan/distributions/reservations.ts";
import { flagsOf, PATHS, yamlOf } from "./plan-files.ts";
import { buildProfile } from "./profile.ts";

const PAGE = readFileSync(join(import.meta.dirname, "../../../docs/hardening.md"), "utf8");

/** Rows of the tables below a heading, each a list of cells without backquotes around a whole cell. */
function rowsOf(heading: string): string[][] {
  const section = PAGE.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
    .map((line) => line.slice(1, -1).split("|"))
    .map((cells) => cells.map((cell) => cell.trim().replace(/^`(.*)`$/, "$1")));
}

const SETTINGS = [...rowsOf("What is set"), ...rowsOf("What keeps pods from taking the device down")].filter(
  ([, path = ""]) => path.startsWith("/"),
);

/** The text of one rendered file, empty where there is none. */
function textOf(security: Profile["security"], path: string): string {
  const init = path.startsWith("/etc/init.d/") ? "openrc" : "systemd";
  const { files } = renderDistribution(buildProfile({ security, init }));
  return files.find((file) => file.path === path)?.content ?? "";
}

test("the page has its tables", () => {
  assert.ok(SETTINGS.length > 30, `${SETTINGS.length} rows`);
  assert.ok(rowsOf("What is deliberately not set").length > 5);
});

for (const [setting = "", path = "", , baseline = ""] of SETTINGS) {
  test(`${setting} is rendered as documented`, () => {
    assert.ok(textOf("cis", path).includes(setting), `${path} under cis`);
    assert.match(baseline, /^(yes|no)$/);
    assert.equal(textOf("baseline", path).includes(setting), baseline === "yes", `${path} under baseline`);
  });
}

test("every flag of the API server and the controller manager is documented", () => {
  const plan = renderDistribution(buildProfile());
  const flags = ["kube-apiserver-arg", "kube-controller-manager-arg"].flatMap((key) => flagsOf(plan, key));
  const documented = SETTINGS.map(([setting]) => setting);
  assert.deepEqual(
    flags.filter((flag) => !documented.includes(flag)),
    [],
  );
});

test("every setting of the kubelet's drop-in is documented", () => {
  const documented = SETTINGS.flatMap(([setting = "", path]) => (path === PATHS.kubelet ? setting.split(":")[0] : []));
  const { apiVersion: _version, kind: _kind, ...settings } = yamlOf(renderDistribution(buildProfile()), PATHS.kubelet);
  assert.deepEqual(documented.sort(), Object.keys(settings).sort());
});

for (const [setting = ""] of rowsOf("What is deliberately not set").slice(1)) {
  test(`${setting} is in no file`, () => {
    const { files } = renderDistribution(buildProfile({ wasm: ["spin", "wasmtime"] }));
    for (const { path, content } of files) assert.equal(content.includes(setting), false, path);
  });
}

test("the memory of the page's table is what is reserved", () => {
  const rows = rowsOf("What keeps pods from taking the device down").filter(([memory = ""]) => /^\d+$/.test(memory));
  assert.equal(rows.length, 5);
  for (const [memory = "", ...cells] of rows) {
    const shown = (["server", "agent"] as const).flatMap((role) => {
      if (role === "server" && Number(memory) < 1024) return ["not enough", "-"];
      const { systemMiB, kubernetesMiB, evictionMiB } = kubeletReservations(Number(memory), role);
      return [`${systemMiB}, ${kubernetesMiB}, ${evictionMiB}`, `${podMemoryMiB(Number(memory), role)}`];
    });
    assert.deepEqual(cells, shown, memory);
  }
});

test("the policy that the page names is part of the tree, and allows DNS", () => {
  const policy = renderBase().get("base/default-deny.yaml") ?? "";
  assert.match(policy, /kind: NetworkPolicy/);
  assert.match(policy, /port: 53/);
});
