import assert from "node:assert/strict";
import { test } from "node:test";
import type { StackResource } from "../../../components/engine.ts";
import {
  findInstalledHub,
  refuseHeld,
  refuseOtherCluster,
  refuseUndeclared,
  vanishedControlPlanes,
} from "../../../components/hub/installed.ts";

const HUB = "edge-fleet:index:Hub";
const CONTROL_PLANE = "edge-fleet:index:ControlPlane";
const SECRET = "kubernetes:core/v1:Secret";
const DEFINITION = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition";

function resource(type: string, name: string, outputs: object = {}): StackResource {
  return { urn: `urn:pulumi:hub::edge-fleet::${type}::${name}`, type, name, outputs: { ...outputs } };
}

const token = (text: string) => ({ data: { token: Buffer.from(text).toString("base64"), namespace: "bm8=" } });
const STATE = [
  resource("pulumi:pulumi:Stack", "edge-fleet-hub"),
  resource(HUB, "hub", { clusterUid: "uid-1" }),
  resource(CONTROL_PLANE, "hub-tokyo", { region: "tokyo", removed: false }),
  resource(SECRET, "hub-tokyo-settings", token("another secret")),
  resource(SECRET, "hub-tokyo-token", token("tokyo's token")),
  resource(CONTROL_PLANE, "hub-osaka", { region: "osaka", removed: true }),
  resource(DEFINITION, "hub-crds:applications.argoproj.io"),
  // As a run with `adopt` has read it.
  resource(DEFINITION, "hub-appprojects.argoproj.io"),
];

test("the state of the last run says which cluster the hub is on, which control planes it has, and which definitions are its own", () => {
  assert.deepEqual(findInstalledHub(STATE), {
    clusterUid: "uid-1",
    controlPlanes: [
      { region: "tokyo", removed: false, token: "tokyo's token" },
      { region: "osaka", removed: true, token: undefined },
    ],
    definitions: ["applications.argoproj.io"],
  });
});

test("a hub whose first run was cut off before its end has control planes and no cluster to compare with", () => {
  const cut = [resource(HUB, "hub"), resource(CONTROL_PLANE, "hub-tokyo")];
  assert.deepEqual(findInstalledHub(cut), {
    clusterUid: undefined,
    controlPlanes: [{ region: "tokyo", removed: false, token: undefined }],
    definitions: [],
  });
  assert.deepEqual(findInstalledHub([]), { clusterUid: undefined, controlPlanes: [], definitions: [] });
});

test("a control plane whose region has left the inventory undeclared is refused, with every file named", () => {
  const hub = findInstalledHub([...STATE, resource(CONTROL_PLANE, "hub-kyoto")]);
  const vanished = vanishedControlPlanes(hub, ["nagoya"]);
  assert.deepEqual(
    vanished.map(({ region }) => region),
    ["tokyo", "osaka", "kyoto"],
  );
  const line = (region: string) =>
    `stacks/${region}.yaml is gone but its control plane argocd-${region} is still on the hub - restore the file, and ` +
    "write state: removed in it to remove the region";
  assert.throws(() => refuseUndeclared(vanished, "stacks"), { message: `${line("tokyo")}\n${line("kyoto")}` });
});

test("a region that was declared removed, or is still there, is not refused", () => {
  const hub = findInstalledHub(STATE);
  assert.deepEqual(vanishedControlPlanes(hub, ["tokyo", "osaka"]), []);
  refuseUndeclared(vanishedControlPlanes(hub, ["tokyo"]), "stacks");
});

test("another cluster behind the kubeconfig is refused with both UIDs and the two ways on", () => {
  const hub = findInstalledHub(STATE);
  refuseOtherCluster(hub, "uid-1", "hub");
  refuseOtherCluster({ clusterUid: undefined, controlPlanes: [], definitions: [] }, "uid-2", "hub");
  assert.throws(
    () => refuseOtherCluster(hub, "uid-2", "hub"),
    /leads to the cluster uid-2, and the hub is on the cluster uid-1 .* - set KUBECONFIG or edge-fleet:context .*--stack hub/,
  );
});

test("a control plane that objects still wait for is not deleted; at most five are named", () => {
  refuseHeld("tokyo", []);
  const held = Array.from({ length: 7 }, (_, index) => ({ kind: "Application", name: `a${index}` }) as const);
  assert.throws(
    () => refuseHeld("tokyo", [{ kind: "ApplicationSet", name: "edge-workloads" }, ...held]),
    /argocd-tokyo cannot go: ApplicationSet edge-workloads, Application a0, .*a3 and 3 more would wait .* - restore tokyo\.yaml with state: removed, run pulumi up --stack tokyo, then pulumi destroy --stack tokyo$/,
  );
});
