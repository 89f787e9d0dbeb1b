/** What a device with Flux says of its Kustomizations, in Argo CD's words: by the shells of devices, with a kubectl that only tells. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseAnswer, statusOfAnswer } from "../../../cli/rollout/answer.ts";
import { deviceProgram } from "../../../components/device/program.ts";

const [NEW, OLD] = ["a".repeat(40), "b".repeat(40)];
const [AT, FIRST] = ["2026-11-26T05:05:06Z", "2026-11-26T01:02:03Z"];
const GOOD = "ReconciliationSucceeded";
const UNWELL = "HealthCheckFailed";

/** Of a Kustomization: tried, done, ready, reason, healthy, ended, and what is told of it. */
const CASES: readonly (readonly [
  what: string,
  told: readonly [string, string, string, string, string, string],
  expected: Readonly<Record<string, string>>,
])[] = [
  [
    "well",
    [NEW, NEW, "True", GOOD, "True", GOOD],
    { revision: NEW, sync: "Synced", health: "Healthy", phase: "Succeeded", deployedAt: FIRST, conditions: "" },
  ],
  [
    "under way, and well before",
    [NEW, NEW, "Unknown", "Progressing", "Unknown", GOOD],
    { sync: "Synced", health: "Healthy", phase: "Running", deployedAt: FIRST },
  ],
  [
    "a root, which waits for nothing",
    [NEW, NEW, "True", GOOD, "", GOOD],
    { sync: "Synced", health: "Healthy", phase: "Succeeded" },
  ],
  [
    "applied, and not well",
    [NEW, OLD, "False", UNWELL, "False", UNWELL],
    { revision: NEW, sync: "Synced", health: "Degraded", phase: "Succeeded", deployedAt: "", conditions: UNWELL },
  ],
  [
    "a build that fails",
    [NEW, OLD, "False", "BuildFailed", "True", GOOD],
    { revision: NEW, sync: "OutOfSync", phase: "Failed", deployedAt: "", conditions: "BuildFailed" },
  ],
  ["not fetched yet", ["", "", "False", "ArtifactFailed", "", ""], { revision: "", sync: "Unknown", phase: "Failed" }],
  [
    "only just there",
    ["", "", "", "", "", ""],
    { revision: "", sync: "Unknown", health: "Progressing", phase: "Running" },
  ],
];

function told(context: TestContext, shell: readonly string[], lines: string): Record<string, string>[] {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-flux-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const kubectl = join(folder, "kubectl");
  writeFileSync(join(folder, "lines"), lines);
  const answer = `case " $* " in *" get crd "*) echo crd ;; *" -n flux-system get kustomizations"*) cat "\${0%/*}/lines" ;; esac`;
  writeFileSync(kubectl, `#!/bin/sh\n${answer}\n`, { mode: 0o755 });
  const call = `KUBECTL=${kubectl}; ENGINE=flux; flux_applications`;
  const input = deviceProgram().text.replace(/^main "\$@"$/m, () => call);
  const [command = "", ...args] = shell;
  const { status, stdout, stderr } = spawnSync(command, args, { input, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return JSON.parse(`[${stdout}]`);
}

for (const shell of [["dash"], ["busybox", "ash"]]) {
  test(`${shell.join(" ")}: each Kustomization is told as Argo CD would tell of its Application`, (context) => {
    const lines = CASES.map(([, [tried, done, ...rest]], index) => {
      const revision = (commit: string) => (commit === "" ? "" : `main@sha1:${commit}`);
      return [`k${index}`, revision(tried), revision(done), ...rest, AT, FIRST].join("\t");
    });
    const found = told(context, shell, `${lines.join("\n")}\n`);
    assert.equal(found.length, CASES.length);
    for (const [index, [what, , expected]] of CASES.entries()) {
      const { name, reconciledAt, ...rest } = found[index] ?? {};
      assert.deepEqual([name, reconciledAt], [`k${index}`, AT], what);
      for (const [field, value] of Object.entries(expected)) assert.equal(rest[field], value, `${what}: ${field}`);
    }
  });

  test(`${shell.join(" ")}: what is told is read as a status, of a device that is well and of one that is not`, (context) => {
    const statusOf = (applications: object[]) => {
      const line = { edgeFleetStatus: 1, device: "d", at: AT, release: "v1", api: true, state: "ready", applications };
      const answer = parseAnswer(JSON.stringify(line));
      assert.ok(answer);
      return statusOfAnswer(answer, { receivedAt: Date.parse(AT), workload: undefined, comparesEveryMs: 600_000 });
    };
    const row = (told: readonly string[]) => `${["workloads", ...told, AT, FIRST].join("\t")}\n`;
    const well = statusOf(told(context, shell, row([`sha1:${NEW}`, `sha1:${NEW}`, "True", GOOD, "True", GOOD])));
    assert.deepEqual([well.healthy, well.revision, well.since], [true, NEW, new Date(FIRST ?? "").toISOString()]);
    const ill = statusOf(
      told(context, shell, row([`sha1:${NEW}`, `sha1:${OLD}`, "False", "BuildFailed", "True", GOOD])),
    );
    assert.equal(ill.healthy, false);
    assert.deepEqual(ill.problems, ["Application workloads: OutOfSync, Progressing, sync failed, BuildFailed"]);
    assert.deepEqual(told(context, shell, ""), []);
  });
}
