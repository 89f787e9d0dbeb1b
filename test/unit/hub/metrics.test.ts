/** The metrics of a control plane: who is let to them, and what a Prometheus gets. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parser } from "@prometheus-io/lezer-promql";
import { parse, parseAllDocuments } from "yaml";
import { alertGroups } from "../../../components/hub/alerts.ts";
import { selectControlPlane } from "../../../components/hub/control-plane.ts";
import type { ManifestObject } from "../../../components/hub/manifests.ts";
import { withMetrics } from "../../../components/hub/metrics.ts";
import { principalObjects } from "../../../components/hub/principal/index.ts";
import type { PrincipalSettings } from "../../../components/hub/principal/settings.ts";
import { openServer } from "../../../components/hub/server.ts";
import { HubSchema } from "../../../components/inventory/hub-schema.ts";
import { admits, type End, type Policy } from "../../flows.ts";
import { assertGolden } from "../../golden.ts";
import { argocdManifests } from "../../lab/toolchain/index.ts";
import { validate, writeKubernetesSchemas, writePrometheusOperatorSchemas } from "../gitops/schemas.ts";

const NAMESPACE = "argocd-tokyo";
const { directory: manifests } = await argocdManifests();
const namespaceInstall = parseAllDocuments(readFileSync(join(manifests, "namespace-install.yaml"), "utf8")).map(
  (document) => document.toJS() as ManifestObject,
);
const { server } = HubSchema.parse({
  argocd: { version: "v3.2.11" },
  server: {
    url: "https://argocd.example.com",
    sso: { issuer: "https://id.example.com", clientId: "argocd", groups: { sre: "admin" } },
  },
});
const principal: PrincipalSettings = {
  namespace: NAMESPACE,
  exposure: { service: "ClusterIP", annotations: {}, sourceRanges: [] },
  agents: 40,
  releases: ["v0.10.0", "v0.11.0"].map((version) => ({ version, image: "i", port: 443, certificate: "" })),
};
const input = { region: "tokyo", namespace: NAMESPACE, principal, highAvailability: true };
const selected = selectControlPlane(
  { namespaceInstall },
  { highAvailability: true, server: openServer(server, { ssoClientSecret: "s" }) },
);
const objects = withMetrics(selected, { namespace: "monitoring", operator: true }, input);
const configuration = objects.find(
  ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "edge-fleet-metrics",
)?.data as Readonly<Record<"alerts.yaml" | "scrape.yaml", string>>;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "edge-fleet-metrics-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The parser mends what it cannot read, and marks it. */
function isPromQl(expression: string): boolean {
  let valid = true;
  parser.parse(expression).iterate({
    enter: ({ type }) => {
      if (type.isError) valid = false;
    },
  });
  return valid;
}

test("what a Prometheus gets is the golden one", () => {
  assertGolden("hub/alerts.yaml", configuration["alerts.yaml"]);
  assertGolden("hub/scrape.yaml", configuration["scrape.yaml"]);
});

test("every alert's expression is one that Prometheus' own grammar takes, and one that lacks a parenthesis is not", () => {
  const { groups } = parse(configuration["alerts.yaml"]) as { groups: { rules: { alert: string; expr: string }[] }[] };
  const rules = groups.flatMap(({ rules }) => rules);
  const refused = rules.filter(({ expr }) => !isPromQl(expr)).map(({ alert }) => alert);
  assert.deepEqual([rules.length > 0, refused], [true, []]);
  assert.deepEqual(
    rules.filter(({ expr }) => isPromQl(expr.replace("(", ""))).map(({ alert }) => alert),
    [],
  );
});

test("every object is valid by the schemas of Kubernetes and of the Prometheus operator", () => {
  writeKubernetesSchemas(folder);
  writePrometheusOperatorSchemas(folder);
  const summary = validate(folder, objects.map((object) => JSON.stringify(object)).join("\n---\n"));
  assert.match(summary, new RegExp(`Summary: ${objects.length} resources found .* - Valid: ${objects.length}, `));
});

test("the objects of the Prometheus operator are there only where it is asked for, with the same rules", () => {
  const kinds = (operator: boolean) =>
    withMetrics(selected, { namespace: "monitoring", operator }, input)
      .map(({ kind }) => kind)
      .filter((kind) => ["ServiceMonitor", "PrometheusRule"].includes(kind));
  assert.deepEqual([kinds(false), kinds(true)], [[], ["ServiceMonitor", "PrometheusRule"]]);
  const rule = objects.find(({ kind }) => kind === "PrometheusRule");
  assert.deepEqual(rule?.spec, parse(configuration["alerts.yaml"]));
});

test("the namespace of the Prometheus alone is let to the metrics, and everybody to the rest as before", () => {
  const policies = objects.flatMap((object) =>
    object.kind === "NetworkPolicy"
      ? [{ ...object, metadata: { ...object.metadata, namespace: NAMESPACE } } as ManifestObject & Policy]
      : [],
  );
  const pod = (name: string): End => ({ namespace: NAMESPACE, labels: { "app.kubernetes.io/name": name } });
  const of = (name: string): End => ({
    namespace: name,
    labels: {},
    namespaceLabels: { "kubernetes.io/metadata.name": name },
  });
  for (const [name, port] of [
    ["argocd-applicationset-controller", 8080],
    ["argocd-repo-server", 8084],
    ["argocd-server", 8083],
  ] as const)
    for (const [from, expected] of [
      ["monitoring", true],
      ["default", false],
    ] as const)
      assert.equal(admits(policies, { from: of(from), to: pod(name), port }), expected, `${from} ${name} ${port}`);
  for (const [from, name, port, expected] of [
    [pod("argocd-applicationset-controller"), "argocd-repo-server", 8081, true],
    [of("default"), "argocd-repo-server", 8081, false],
    [of("default"), "argocd-applicationset-controller", 7000, true],
  ] as const)
    assert.equal(admits(policies, { from, to: pod(name), port }), expected, `${name} ${port}`);
});

test("every Service that an alert watches is there, with a port that is scraped", () => {
  const principals = principalObjects(principal) as unknown as ManifestObject[];
  const services = [...objects, ...principals].filter(({ kind }) => kind === "Service");
  const scraped = services
    .filter(({ spec }) => (spec as { ports: { name?: string }[] }).ports.some(({ name }) => name === "metrics"))
    .map(({ metadata }) => metadata.name);
  const watched = new Set(
    alertGroups({ ...input, server: true }).flatMap(({ rules }) =>
      rules.flatMap(({ expr }) => /service="([^"]+)"/.exec(expr)?.[1] ?? []),
    ),
  );
  assert.deepEqual([...watched].sort(), scraped.sort());
});
