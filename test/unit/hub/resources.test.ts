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
new Hub("hub", {
  cluster: { uid: "0000", server: "https://hub.example.com:6443", certificateAuthorityData: "Q0E=" },
  manifests: { crds: [], namespaceInstall: [] },
  regions: { tokyo: {}, osaka: {} },
  gitUrl: "https://git.example.com/acme/fleet.git",
});
await new Promise((resolve) => setTimeout(resolve, 50));

test("every provider of a hub writes a changed ConfigMap or Secret in place", () => {
  const providers = registered.filter(({ type }) => type === "pulumi:providers:kubernetes");
  assert.deepEqual(
    providers.map(({ name, inputs }) => [name, inputs.enableConfigMapMutable, inputs.enableSecretMutable]),
    ["hub-cluster", "hub-tokyo-cluster", "hub-osaka-cluster"].map((name) => [name, "true", "true"]),
  );
});
