import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { endpointOf } from "../../../cli/overview/connections.ts";
import { renderMermaid } from "../../../cli/overview/mermaid.ts";
import { buildOverview, type Overview } from "../../../cli/overview/model.ts";
import { renderMarkdown, renderText } from "../../../cli/overview/render.ts";
import { loadInventory, resolveFleet } from "../../../components/inventory/index.ts";
import { assertGolden } from "../../golden.ts";
import { edgeFleet } from "./command.ts";
import { writeInventory } from "./inventory.ts";

const KEY = `ssh-ed25519 ${Buffer.from("a key").toString("base64")}`;
const SHA = "0123456789abcdef0123456789abcdef01234567";

/** A fleet with something of everything. */
const FILES = {
  "fleet.yaml": `fleet: acme
git: { url: "https://robot:hunter2@git.example.com:8443/fleet.git" }
rings: [canary, early, broad]
ring: broad
k3s: { version: v1.34.2+k3s1 }
hub: { argocd: { version: v3.2.0 } }
workloads: [{ name: telemetry, path: workloads/telemetry, namespace: telemetry }]
`,
  "models.yaml": `box: { architecture: amd64, memory: 4Gi }
pi: { architecture: arm64, memory: 2Gi, gitops: { engine: flux }, wasm: [spin] }
unused: { architecture: arm64, memory: 8Gi }
`,
  "tokyo.yaml": `region: tokyo
ssh: { proxy: { host: jump.example.com, hostKey: ${KEY} } }
network: { shape: lan }
devices:
  - { id: till-1, host: 10.0.0.1, model: box, ring: canary, hostKey: ${KEY} }
  - { id: till-2, host: 10.0.0.2, model: box, joins: till-1 }
  - { id: till-3, host: 10.0.0.3, model: pi, ssh: { port: 2222 }, artifacts: { delivery: push, images: true } }
`,
  "osaka.yaml": `region: osaka
registries: { docker.io: { endpoints: ["https://mirror.example.com:5000"] } }
time: { ntpServers: [ntp.example.com] }
devices:
  - { id: kiosk-1, host: 10.1.0.1, model: pi, distribution: k0s, k0s: { version: v1.34.1+k0s.0 }, ring: early }
`,
  "empty.yaml": "region: empty\n",
};

function overviewOf(context: TestContext, files: Readonly<Record<string, string>>): Overview {
  const inventory = loadInventory(writeInventory(context, files));
  return buildOverview(inventory, resolveFleet(inventory), new Map([["canary", SHA]]));
}

test("the overview of a fleet as text, as Markdown and as JSON", (context) => {
  const overview = overviewOf(context, FILES);
  assertGolden("overview/overview.txt", renderText(overview));
  assertGolden("overview/overview.md", renderMarkdown(overview));
  assertGolden("overview/overview.json", `${JSON.stringify(overview, null, 2)}\n`);
});

test("no form of the overview shows the password of the Git URL", (context) => {
  const overview = overviewOf(context, FILES);
  for (const text of [renderText(overview), renderMarkdown(overview), JSON.stringify(overview)])
    assert.ok(!text.includes("hunter2") && text.includes("git.example.com"));
});

test("a fleet without devices has an overview too", (context) => {
  const overview = overviewOf(context, { "tokyo.yaml": "region: tokyo\n" });
  assert.deepEqual([overview.devices, overview.rings.map(({ share }) => share)], [0, [0, 0]]);
  checkMermaid(renderMermaid(overview));
  assert.match(renderText(overview), /^PORTS OPEN ON A DEVICE\n {2}- none$/m);
});

test("the command reads the rings' commits from the tree", async (context) => {
  const stacks = writeInventory(context, FILES);
  const cwd = join(stacks, "..");
  mkdirSync(join(cwd, "fleet", "rings"), { recursive: true });
  writeFileSync(join(cwd, "fleet", "rings", "canary.yaml"), `ring: canary\nrevision: "${SHA}"\n`);
  const { exitCode, stdout } = await edgeFleet(["overview", "--json"], { cwd });
  assert.equal(exitCode, 0);
  const { rings } = JSON.parse(stdout) as Overview;
  assert.deepEqual(
    rings.map(({ revision }) => revision),
    [SHA, null, null],
  );
  const page = await edgeFleet(["overview", "--markdown"], { cwd });
  assert.match(page.stdout, /^# Fleet acme\n\n```mermaid\nflowchart LR\n/);
});

/**
 * Checks the part of Mermaid's flowchart grammar that is emitted: each line is one known statement, subgraphs close,
 * labels hold no character that ends one, and edges join nodes that exist.
 */
function checkMermaid(source: string): void {
  const id = "[a-z]+[0-9]*";
  const text = '"[^"`<>&;]*(?:(?:<br\\/>|#[0-9]+;)[^"`<>&;]*)*"';
  const node = new RegExp(`^(${id})(\\[${text}\\]|\\[\\(${text}\\)\\]|\\[\\[${text}\\]\\]|\\{\\{${text}\\}\\})$`);
  const subgraph = new RegExp(`^subgraph (${id})\\[${text}\\]$`);
  const edge = new RegExp(`^(${id}) (?:-->|-\\.->)\\|[A-Za-z ]+\\| (${id})$`);
  const [first, ...lines] = source.trimEnd().split("\n");
  assert.equal(first, "flowchart LR");
  const nodes = new Set<string>();
  let open = 0;
  for (const line of lines.map((each) => each.trim())) {
    const found = subgraph.exec(line) ?? node.exec(line);
    const joined = edge.exec(line);
    if (line === "end") open--;
    else if (found !== null) {
      assert.ok(!nodes.has(found[1] ?? ""), `${line}: the id is taken`);
      assert.notEqual(found[1], "end");
      nodes.add(found[1] ?? "");
      if (line.startsWith("subgraph")) open++;
    } else if (joined !== null) {
      for (const name of joined.slice(1)) assert.ok(nodes.has(name), `${line}: ${name} is no node`);
    } else assert.fail(`no statement: ${line}`);
    assert.ok(open === 0 || open === 1);
  }
  assert.equal(open, 0);
}

test("the picture is a Mermaid flowchart", (context) => {
  checkMermaid(renderMermaid(overviewOf(context, FILES)));
});

test("the picture stays a flowchart whatever the names hold, and stays small", (context) => {
  const overview = overviewOf(context, FILES);
  const name = fc.string({ unit: "grapheme-ascii", maxLength: 30 });
  const [region] = overview.regions;
  assert.ok(region);
  fc.assert(
    fc.property(fc.array(name, { maxLength: 40 }), name, (names, url) => {
      const regions = names.map((each) => ({ ...region, name: each, namespace: each, jumpHosts: [each] }));
      const source = renderMermaid({ ...overview, git: { ...overview.git, url }, regions });
      checkMermaid(source);
      assert.ok(source.length < 20_000 && source.split("-->").length < 100);
    }),
  );
});

test("counts add up to the devices", (context) => {
  const overview = overviewOf(context, FILES);
  const sum = (counts: readonly { readonly devices: number }[]): number =>
    counts.reduce((total, { devices }) => total + devices, 0);
  for (const counts of [overview.regions, overview.models, overview.rings, overview.distributions])
    assert.equal(sum(counts), overview.devices);
  assert.equal(sum(overview.engines), overview.clusters);
  assert.equal(overview.rings.at(-1)?.cumulativeShare, 100);
  for (const { devices, clusters, models, rings, engines } of overview.regions) {
    for (const counts of [models, rings]) assert.equal(sum(counts), devices);
    assert.equal(sum(engines), clusters);
  }
});

const endpoints: [url: string, endpoint: string][] = [
  ["https://git.example.com/x.git", "git.example.com 443/tcp"],
  ["http://10.0.0.1:3000/x", "10.0.0.1 3000/tcp"],
  ["git@git.example.com:acme/x.git", "git.example.com 22/tcp"],
  ["ssh://git@git.example.com:2222/x.git", "git.example.com 2222/tcp"],
  ["oci://registry.example.com/fleet", "registry.example.com 443/tcp"],
  ["/srv/git/x.git", ""],
  ["", ""],
];

for (const [url, endpoint] of endpoints) {
  test(`devices reach ${url || "nothing"} at ${endpoint || "no address"}`, () => {
    assert.equal(
      endpointOf(url)
        .map(({ peer, port }) => `${peer} ${port}`)
        .join(),
      endpoint,
    );
  });
}
