/** What a backup of a hub's Applications keeps, takes back and leaves out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHubBackup, planRestore, renderHubBackup, type StoredObject } from "../../../cli/backup/hub.ts";
import { UsageError } from "../../../cli/exit.ts";

/** As an API server has it: with what a cluster adds. */
function application(device: string | undefined, name = `${device}-workloads`): StoredObject {
  const annotations = device === undefined ? {} : { annotations: { "edge-fleet.dev/device": device } };
  const ownerReferences = [{ kind: "ApplicationSet", name: "edge-workloads", uid: "1", controller: true }];
  return {
    metadata: { name, ...annotations, ...{ uid: "2", resourceVersion: "3", managedFields: [], ownerReferences } },
    spec: { project: "edge-workloads" },
    status: { sync: { status: "Synced" } },
  };
}

const IDENTITY = { metadata: { name: "argocd-agent-principal-identity" }, data: { "principal-uid": "4" } };
const BACKUP = renderHubBackup(
  "tokyo",
  [application("a"), application("b"), application(undefined, "by-hand")],
  IDENTITY,
);

test("a backup has what was written of each device's Application and of the principal's name, and nothing of a cluster's", () => {
  const saved = (device: string) => ({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: {
      name: `${device}-workloads`,
      namespace: "argocd-tokyo",
      annotations: { "edge-fleet.dev/device": device },
    },
    spec: { project: "edge-workloads" },
  });
  const identity = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "argocd-agent-principal-identity", namespace: "argocd-tokyo" },
    data: { "principal-uid": "4" },
  };
  assert.deepEqual(BACKUP, { apiVersion: "v1", kind: "List", items: [identity, saved("a"), saved("b")] });
  assert.deepEqual(parseHubBackup(JSON.stringify(BACKUP), "tokyo", "x.json"), BACKUP);
});

test("a device that has no agent any more gets nothing back", () => {
  const { objects, leftOut } = planRestore(BACKUP, new Set(["b"]));
  assert.deepEqual(
    [objects.map(({ metadata }) => metadata.name), leftOut],
    [["argocd-agent-principal-identity", "b-workloads"], ["a-workloads"]],
  );
});

for (const [name, text, expected] of [
  ["text", "no", /^x\.json: is no JSON - use a file of edge-fleet backup hub tokyo$/],
  ["null", "null", /^x\.json: is no backup - /],
  ["another document", '{"kind":"Pod"}', /^x\.json: is no backup - /],
  ["another kind", '{"kind":"List","items":[{"kind":"Secret","metadata":{}}]}', /^x\.json items\.0: is a Secret - /],
  [
    "another region's",
    JSON.stringify(renderHubBackup("osaka", [application("a")], undefined)),
    /^x\.json items\.0: is of argocd-osaka and not of region tokyo - /,
  ],
] as const) {
  test(`${name} is refused as a backup, with the fix`, () => {
    assert.throws(
      () => parseHubBackup(text, "tokyo", "x.json"),
      (error: Error) => error instanceof UsageError && expected.test(error.message),
    );
  });
}
