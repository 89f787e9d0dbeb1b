/** What fleet.yaml says of workloads, patches and projects, and what is refused of it, with its place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type InventoryError, loadInventory } from "../../../components/inventory/index.ts";
import { FLEET, inventoryFolder, problemsOf, REGION } from "./folder.ts";

const REGIONS = `${REGION}    labels: {camera: "yes"}
  - {id: tokyo-0002, host: 10.0.0.2, model: nuc-4g, gitops: {engine: argocd-agent}}
  - {id: tokyo-0003, host: 10.0.0.3, model: nuc-4g, gitops: {engine: flux}}
  - {id: ${"d".repeat(53)}, host: 10.0.0.4, model: nuc-4g, state: removed}
`.replace("model: nuc-4g\n    labels", "model: nuc-4g\n    gitops: {engine: argocd}\n    labels");

const problemsWith = (more: string, region = REGIONS): string[] =>
  problemsOf({ "fleet.yaml": `${FLEET}${more}`, "tokyo.yaml": region });

const workload = (fields: string) => `workloads:\n  - {name: own, path: workloads/own, namespace: own, ${fields}}\n`;
const patch = (fields: string) =>
  `patches:\n  - {${fields}, patch: "- {op: add, path: /spec/replicas, value: 3}", target: {kind: Deployment}}\n`;

for (const [what, text, expected] of [
  [
    "every field",
    workload(
      "type: overlays, state: removed, regions: [tokyo], models: [nuc-4g], rings: [broad], labels: {a: b}, rollout: {soak: 1d}",
    ),
    undefined,
  ],
  [
    "a workload named as the overlays",
    workload("").replace("name: own", "name: workloads"),
    /^fleet.yaml:11:12 workloads\[0\]\.name: is the name of the overlays - /,
  ],
  [
    "a workload named as a ring",
    workload("").replace("name: own", "name: broad"),
    /workloads\[0\]\.name: broad is a ring too - rename it/,
  ],
  [
    "one that is listed twice",
    `${workload("")}  - {name: own, path: x, namespace: x}\n`,
    /^fleet.yaml:12:12 workloads\[1\]\.name: own is listed twice - /,
  ],
  [
    "one in edge-fleet's own folder",
    workload("").replace("path: workloads/own", "path: entry/x"),
    /workloads\[0\]\.path: is edge-fleet's own - /,
  ],
  [
    "one in a project of edge-fleet's own",
    workload("project: default"),
    /workloads\[0\]\.project: default is edge-fleet's own - /,
  ],
  [
    "an unknown ring",
    workload("rings: [late]"),
    /^fleet.yaml:11:\d+ workloads\[0\]\.rings\[0\]: late is not one of the fleet's - use one of canary, broad$/,
  ],
  [
    "an unknown region",
    workload("regions: [osaka]"),
    /workloads\[0\]\.regions\[0\]: osaka is not one of the fleet's - use one of tokyo$/,
  ],
  [
    "a chart for a device with flux",
    workload("type: helm"),
    /workloads\[0\]\.type: device tokyo-0003 has gitops\.engine flux, which gets no helm-controller to render charts - exclude it, /,
  ],
  ["a chart that spares the device with flux", workload("type: helm, labels: {camera: 'yes'}"), undefined],
  ["a patch of one device", patch("devices: [tokyo-0001]"), undefined],
  ["a patch of all devices with a label", patch("labels: {camera: 'yes'}"), undefined],
  ["a patch of nobody", patch("workload: own"), /patches\[0\]: names no devices - add `devices` or `labels`/],
  [
    "a patch of a device with an agent",
    patch("devices: [tokyo-0002]"),
    /^fleet.yaml:11:5 patches\[0\]: device tokyo-0002 has gitops\.engine argocd-agent, which takes no patch/,
  ],
  [
    "a patch of an unknown device",
    patch("devices: [tokyo-9]"),
    /patches\[0\]\.devices\[0\]: tokyo-9 is no device with a cluster - /,
  ],
  [
    "a patch of an unknown workload",
    patch("devices: [tokyo-0001], workload: other"),
    /patches\[0\]\.workload: other is not one of fleet\.yaml's - /,
  ],
  [
    "a text that is no patch",
    patch("devices: [tokyo-0001]")
      .replace(/"- .*"/, '"spec: {}"')
      .replace('3}"', ""),
    /patches\[0\]\.patch: is no patch - write a map with apiVersion/,
  ],
  [
    "a project that nobody uses",
    "projects: {operators: {kinds: [Node]}}\n",
    /projects\.operators: no workload is in project operators - use one of edge-workloads$/,
  ],
  [
    "what is no kind",
    "projects: {edge-workloads: {kinds: [nodes]}}\n",
    /projects\.edge-workloads\.kinds\[0\]: is not a kind - /,
  ],
] as const) {
  test(`${expected === undefined ? "takes" : "refuses"} ${what}`, () => {
    const problems = problemsWith(text);
    assert.equal(problems.length, expected === undefined ? 0 : 1, problems.join("\n"));
    if (expected !== undefined) assert.match(problems[0] ?? "", expected);
  });
}

test("refuses a workload whose Application's name would be too long", () => {
  const [problem] = problemsWith(
    workload("").replace("name: own", "name: ten-letters"),
    REGIONS.replace(", state: removed", ""),
  );
  assert.match(
    problem ?? "",
    /workloads\[0\]\.name: the Application d+-ten-letters of device d+ has more than 63 characters/,
  );
});

test("refuses a chart in the layout rendered", () => {
  const rendered = FLEET.replace("acme.git\n", "acme.git\n  layout: rendered\n");
  const directory = inventoryFolder({
    "fleet.yaml": `${rendered}${workload("type: helm, labels: {camera: 'yes'}")}`,
    "tokyo.yaml": REGIONS,
  });
  assert.throws(
    () => loadInventory(directory),
    (error: InventoryError) => {
      const [chart] = error.problems;
      assert.match(chart ?? "", /fleet\.yaml:12:\d+ workloads\[0\]\.type: git\.layout rendered holds no charts - /);
      return true;
    },
  );
});
