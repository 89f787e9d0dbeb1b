import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { renderFlux } from "../../../../cli/pulls/flux.ts";
import { renderTree } from "../../../../components/gitops/tree.ts";
import type { TreeDevice } from "../../../../components/gitops/tree-input.ts";
import { assertGolden } from "../../../golden.ts";
import { arbitraryFleet, FULL_EXAMPLE } from "../../gitops/fleet.ts";

const REVISION = "a".repeat(40);
const DEVICE: TreeDevice = {
  id: "tokyo-0003",
  region: "tokyo",
  model: "rpi4-2g",
  ring: "early",
  engine: "flux",
  values: { "shop-lane": "3", coordinates: "35.68,139.77" },
};

test("a device with Flux gets the golden objects, for its leaf and for a workload of its own", () => {
  const objects = [undefined, ...(FULL_EXAMPLE.workloads ?? [])].map((workload) =>
    renderFlux(DEVICE, FULL_EXAMPLE.git, REVISION, workload),
  );
  assertGolden("gitops/flux.json", `${JSON.stringify(objects, null, 2)}\n`);
});

test("every device's path is a leaf of the tree in either layout, and every variable has a name that Flux takes", () => {
  fc.assert(
    fc.property(arbitraryFleet, (fleet) => {
      const tree = renderTree(fleet);
      for (const device of fleet.devices) {
        const { repository, kustomization } = renderFlux(device, fleet.git, REVISION);
        const { path, sourceRef, postBuild } = kustomization.spec;
        assert.ok(tree.has(`${path.slice("./fleet/".length)}/kustomization.yaml`), path);
        assert.equal(sourceRef.name, repository.metadata.name);
        assert.equal(repository.spec.ref.commit, REVISION);
        for (const name of Object.keys(postBuild.substitute)) assert.match(name, /^[_A-Za-z][_A-Za-z0-9]*$/);
      }
    }),
    { numRuns: 50 },
  );
});
