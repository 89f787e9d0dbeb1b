/** The shape of a hub's resources, by Pulumi's mocks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}

const registered: Registered[] = [];
await pulumi.runtime.setMocks({
  newResource: ({ type, name, inputs }) => {
    registered.push({ type, name, inputs });
    return { id: `${name}-id`, state: inputs };
  },
  call: () => ({ outputs: {} }),
});
const { Hub } = await import("../../../components/index.ts");
const protection = new Map<string, boolean | "inherited">();
const deployment = (name: string) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, labels: { "app.kubernetes.io/component": name.slice("argocd-".length) } },
  spec: { template: { spec: { containers: [{ name, image: `quay.io/argoproj/argocd:v3.2.11` }] } } },
});
const shared = {
  cluster: { uid: "0000", server: "https://hub.example.com:6443", certificateAuthorityData: "Q0E=" },
  manifests: { crds: [], namespaceInstall: [deployment("argocd-repo-server")] },
  gitUrl: "https://git.example.com/acme/fleet.git",
};
new Hub("adopting", { ...shared, regions: {}, definitions: "adopt" });
new Hub(
  "hub",
  { ...shared, regions: { tokyo: {}, osaka: {} }, highAvailability: true },
  {
    transformations: [
      ({ name, opts }) => {
        protection.set(name, opts.protect ?? "inherited");
        return undefined;
      },
    ],
  },
);
await pulumi.runtime.disconnect();

test("every provider of a hub writes a changed ConfigMap or Secret in place", () => {
  const providers = registered.filter(
    ({ type, name }) => type === "pulumi:providers:kubernetes" && name.startsWith("hub-"),
  );
  assert.deepEqual(
    providers.map(({ name, inputs }) => [name, inputs.enableConfigMapMutable, inputs.enableSecretMutable]),
    ["hub-cluster", "hub-tokyo-cluster", "hub-osaka-cluster"].map((name) => [name, "true", "true"]),
  );
});

test("what a setting adds to a control plane is not protected, so that it goes with the setting", () => {
  const kinds = (name: string) =>
    registered.flatMap((resource) =>
      resource.name === name ? (resource.inputs.objs as { kind: string }[]).map(({ kind }) => kind) : [],
    );
  assert.deepEqual([kinds("hub-tokyo-argocd"), protection.get("hub-tokyo-argocd")], [["Deployment"], "inherited"]);
  assert.deepEqual([kinds("hub-tokyo-options"), protection.get("hub-tokyo-options")], [["PodDisruptionBudget"], false]);
});

test("a hub makes Argo CD's definitions, and none where it adopts those of the cluster", () => {
  const made = registered.map(({ name }) => name).filter((name) => name.endsWith("-crds"));
  assert.deepEqual(made, ["hub-crds"]);
});
