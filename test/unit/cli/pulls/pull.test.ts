/** What each engine takes, judged by the engine's own schemas and by the real kustomize. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { type Pull, renderPull } from "../../../../cli/pulls/pull.ts";
import { renderTree } from "../../../../components/gitops/tree.ts";
import type { TreeDevice } from "../../../../components/gitops/tree-input.ts";
import { planTree, writeTree } from "../../../../components/gitops/writer.ts";
import { formatObjects } from "../../../../components/gitops/yaml.ts";
import { assertGolden } from "../../../golden.ts";
import { predictApplications } from "../../../prediction.ts";
import { arbitraryFleet, FULL_EXAMPLE } from "../../gitops/fleet.ts";
import { validate, writeArgoCdSchemas, writeFluxSchemas, writeKubernetesSchemas } from "../../gitops/schemas.ts";
import { runTool } from "../../gitops/tools.ts";

interface AnyObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: { readonly path: string; readonly source: { readonly path: string } };
}

const REVISIONS = new Map(FULL_EXAMPLE.rings.map((ring) => [ring, "a".repeat(40)]));
const NAMES = ["workloads", ...(FULL_EXAMPLE.workloads ?? []).map(({ name }) => name)];
const PINS = new Map(NAMES.map((name) => [name, REVISIONS]));
const VALUES = { "shop-lane": "3", coordinates: "35.68,139.77" };

const pullOf = (engine: TreeDevice["engine"], input = FULL_EXAMPLE): Pull => {
  const [device] = input.devices.filter(({ region, model }) => region === "tokyo" && model === "rpi4-4g");
  assert.ok(device);
  return renderPull({ ...device, engine, values: VALUES }, input, PINS);
};
const named = ({ objects }: Pull) =>
  (objects as AnyObject[]).map(({ kind, metadata: { name, namespace } }) => `${kind} ${namespace ?? "-"}/${name}`);

let schemas: string;
before(() => {
  schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  writeArgoCdSchemas(schemas);
  writeFluxSchemas(schemas);
  writeKubernetesSchemas(schemas);
});
after(() => rmSync(schemas, { recursive: true, force: true }));

for (const engine of ["argocd-agent", "argocd", "flux"] as const) {
  test(`what ${engine} pulls is as reviewed, and valid by the engine's own schema`, () => {
    const { objects } = pullOf(engine);
    assert.ok(objects.length > 1);
    const text = formatObjects([`What a device pulls with ${engine}.`], objects);
    assertGolden(`gitops/pull-${engine}.yaml`, text);
    assert.match(validate(schemas, text), new RegExp(`Valid: ${objects.length}, Invalid: 0, Errors: 0, Skipped: 0`));
  });
}

test("the schemas refuse a field that Flux does not know", () => {
  const [repository] = pullOf("flux").objects.filter((object) => (object as AnyObject).kind === "GitRepository");
  assert.ok(repository);
  const broken = { ...repository, spec: { ...(repository as AnyObject).spec, revision: "main" } };
  assert.throws(() => validate(schemas, JSON.stringify(broken)), /is invalid|Invalid: 1/);
});

test("every device gets the same workloads whatever its engine, each in the namespace of the engine", () => {
  const workloads = named(pullOf("argocd-agent")).map((name) =>
    name.replace(/^Application argocd-tokyo\/tokyo-0\d+-/, ""),
  );
  const own = named(pullOf("argocd")).flatMap((name) => /^Application argocd\/(.*)$/.exec(name)?.[1] ?? []);
  assert.deepEqual(own, ["edge-root", ...workloads]);
  assert.deepEqual(
    named(pullOf("flux")).flatMap((name) => /^Kustomization flux-system\/(.*)$/.exec(name)?.[1] ?? []),
    ["edge-root", ...workloads],
  );
});

test("Flux finds every namespace that its Kustomizations go into before them", () => {
  const { objects } = pullOf("flux");
  const made = new Set<string>();
  for (const object of objects as (AnyObject & { spec?: { targetNamespace?: string } })[]) {
    if (object.kind === "Namespace") made.add(object.metadata.name);
    const { targetNamespace = "edge-apps" } = object.spec ?? {};
    if (object.kind === "Kustomization" && object.metadata.name !== "edge-root")
      assert.ok(made.has(targetNamespace), targetNamespace);
  }
});

test("the real kustomize builds what Flux and Argo CD are pointed at", () => {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-pull-"));
  try {
    const input = { ...FULL_EXAMPLE, workloads: [] };
    const tree = join(folder, input.git.path);
    writeTree(tree, planTree(tree, renderTree(input, PINS)));
    for (const engine of ["argocd", "flux"] as const)
      for (const { kind, metadata, spec } of pullOf(engine, input).objects as AnyObject[])
        if ((kind === "Application" || kind === "Kustomization") && metadata.name !== "edge-root")
          assert.match(
            runTool("kustomize", ["build", join(folder, spec.path ?? spec.source.path)]),
            /^kind: Deployment$/m,
          );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("in any fleet, the agents' objects are those that the hub will hold, and a ring without a commit pulls nothing", () => {
  fc.assert(
    fc.property(arbitraryFleet, (fleet) => {
      const pins = new Map([["workloads", new Map(fleet.rings.map((ring) => [ring, "b".repeat(40)]))]]);
      const held = [...new Set(fleet.devices.map(({ region }) => region))].flatMap((region) =>
        predictApplications(region, fleet, pins).map(({ application }) => application),
      );
      const agents = fleet.devices.filter(({ engine }) => engine === "argocd-agent");
      const pulled = agents.flatMap((device) => renderPull(device, fleet, pins).objects);
      assert.deepEqual(
        new Set(pulled.map((object) => JSON.stringify(object))),
        new Set(held.map((object) => JSON.stringify(object))),
      );
      for (const device of fleet.devices)
        assert.deepEqual(renderPull(device, fleet, new Map()).deployed, [], device.id);
    }),
    { numRuns: 30 },
  );
});
