/**
 * A region's control plane with all that `hub` of fleet.yaml may ask for, and its principals while they are two, on a real API
 * server: every object is applied server-side with every field checked, every pod is one that Pod Security's `restricted` lets in,
 * and the principals' account may do what the process does and no more. The process itself is for agent.test.ts.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { selectControlPlane } from "../../components/hub/control-plane.ts";
import type { ManifestObject } from "../../components/hub/manifests.ts";
import { withMetrics } from "../../components/hub/metrics.ts";
import { principalObjects } from "../../components/hub/principal/index.ts";
import type { PrincipalSettings } from "../../components/hub/principal/settings.ts";
import { openServer, serverOfRegion } from "../../components/hub/server.ts";
import { HubSchema } from "../../components/inventory/hub-schema.ts";
import { renderControlPlane } from "../../components/registration/control-plane.ts";
import { type AppliedObject, applyObject, callApi, mayDo } from "../lab/hub/api.ts";
import { startHub } from "../lab/hub/index.ts";
import { enterLab } from "../lab/scenario.ts";
import { settle } from "../lab/settle.ts";
import { argocdManifests } from "../lab/toolchain/index.ts";
import { prometheusOperatorDefinitions } from "../unit/gitops/schemas.ts";

const toolchain = await enterLab();
const { directory: manifests } = await argocdManifests();
const namespaceInstall = parseAllDocuments(readFileSync(join(manifests, "namespace-install.yaml"), "utf8")).map(
  (document) => document.toJS() as ManifestObject,
);
const SETTINGS: PrincipalSettings = {
  namespace: "argocd-tokyo",
  exposure: { service: "LoadBalancer", annotations: {}, sourceRanges: ["10.0.0.0/8"] },
  agents: 300,
  releases: ["v0.10.0", "v0.11.0"].map((version) => ({
    version,
    image: `quay.io/argoprojlabs/argocd-agent:${version}@sha256:${"a".repeat(64)}`,
    port: 443,
    certificate: "-----BEGIN CERTIFICATE-----\n",
  })),
};

const ACCOUNT = "argocd-tokyo:argocd-agent-principal";

/**
 * What the process asks the API server for, with the file of argocd-agent acb60cd1 that asks, and what it may not have.
 * Rights on a namespace are asked for in the principal's own, then in another.
 */
const RIGHTS: readonly (readonly [verb: string, group: string, resource: string, own: boolean, other: boolean])[] = [
  // principal/server.go: the informer of Applications watches every namespace.
  ["list", "argoproj.io", "applications", true, true],
  ["watch", "argoproj.io", "applications", true, true],
  // internal/backend/kubernetes/application/kubernetes.go: Update, Patch; Delete once a device has let go.
  ["patch", "argoproj.io", "applications", true, false],
  ["update", "argoproj.io", "applications", true, false],
  ["delete", "argoproj.io", "applications", true, false],
  ["watch", "argoproj.io", "appprojects", true, false],
  // internal/argocd/cluster/manager.go: cluster Secrets; principal/server.go: repository Secrets. Written by nothing that is on.
  ["watch", "", "secrets", true, false],
  ["create", "", "secrets", false, false],
  ["delete", "", "secrets", false, false],
  // pkg/principal/identity.go; internal/blocklist/configmap.go
  ["create", "", "configmaps", true, false],
  ["watch", "", "configmaps", true, false],
  ["update", "", "configmaps", false, false],
  // principal/server.go: ApplicationSets are watched with replication only.
  ["watch", "argoproj.io", "applicationsets", false, false],
  ["get", "apps", "deployments", false, false],
];

test("a region's control plane and two principals on a real API server", async (t) => {
  const hub = await startHub({ toolchain, directory: join(mkdtempSync("/run/edge-fleet-principal-"), "hub") });
  t.after(() => hub.stop());
  const kubeconfig = readFileSync(hub.kubeconfigPath, "utf8");
  const { namespace } = renderControlPlane("tokyo", "https://git.example.com/fleet.git");
  assert.equal((await applyObject(kubeconfig, namespace as AppliedObject)).status, 201);
  await t.test("every object is taken, and a second time changes nothing", async () => {
    await defineOperator(kubeconfig);
    for (const object of [...controlPlaneObjects(), ...principalObjects(SETTINGS)]) {
      const [first, second] = [await applyObject(kubeconfig, object), await applyObject(kubeconfig, object)];
      assert.deepEqual([first.status, second.status], [201, 200], JSON.stringify([object.kind, first.body]));
      assert.equal(versionOf(second.body), versionOf(first.body), object.kind);
    }
  });
  await t.test("a field that does not exist is refused, so the test can fail", async () => {
    const [object] = principalObjects(SETTINGS);
    const { status } = await applyObject(kubeconfig, { ...object, typo: 1 } as unknown as AppliedObject, "dryRun=All");
    assert.equal(status, 500);
  });
  await t.test("every pod is let into the restricted namespace, and one that is root is not", async () => {
    const objects = [...controlPlaneObjects(), ...principalObjects(SETTINGS)];
    const deployments = objects.filter(({ kind }) => kind === "Deployment") as unknown as Workload[];
    const answers: [string, number, number][] = [];
    for (const deployment of deployments) {
      const [good, root] = [podOf(deployment), rootPodOf(deployment)];
      const status = async (pod: AppliedObject) => (await applyObject(kubeconfig, pod, "dryRun=All")).status;
      answers.push([deployment.metadata.name, await status(good), await status(root)]);
    }
    const principals = ["agent-principal-v0-10-0", "agent-principal-v0-11-0"];
    const names = ["applicationset-controller", "redis", "repo-server", "server", ...principals];
    assert.deepEqual(
      answers,
      names.map((name) => [`argocd-${name}`, 201, 403]),
    );
  });
  await t.test("its account may do what the process does, in its own region alone", async () => {
    const found = [];
    for (const [verb, group, resource] of RIGHTS) {
      const [own, other] = [
        await mayDo(kubeconfig, ACCOUNT, { verb, group, resource, namespace: "argocd-tokyo" }),
        await mayDo(kubeconfig, ACCOUNT, { verb, group, resource, namespace: "argocd-osaka" }),
      ];
      found.push([verb, group, resource, own, other]);
    }
    assert.deepEqual(found, RIGHTS);
  });
});

/** Argo CD's own install with everything that `hub` of fleet.yaml may ask for, as the region's provider places it. */
function controlPlaneObjects(): AppliedObject[] {
  const { server } = HubSchema.parse({
    argocd: { version: "v3.2.11" },
    server: {
      url: "https://argocd-{region}.example.com",
      sso: { issuer: "https://id.example.com", clientId: "argocd", groups: { sre: "admin" } },
      service: "LoadBalancer",
      sourceRanges: ["10.0.0.0/8"],
    },
  });
  const opened = openServer(server, { ssoClientSecret: "only-for-the-lab" });
  const options = { highAvailability: true, server: opened && serverOfRegion(opened, "tokyo") };
  const selected = selectControlPlane({ namespaceInstall }, options);
  const namespace = "argocd-tokyo";
  const input = { region: "tokyo", namespace, principal: SETTINGS, highAvailability: true };
  const objects = withMetrics(selected, { namespace: "monitoring", operator: true }, input);
  return objects.map((object) => ({ ...object, metadata: { ...object.metadata, namespace } }));
}

/** The definitions of the Prometheus operator, which a hub does not bring. */
async function defineOperator(kubeconfig: string): Promise<void> {
  for (const definition of prometheusOperatorDefinitions()) {
    const { status, body } = await applyObject(kubeconfig, definition);
    assert.equal(status, 201, JSON.stringify(body));
  }
  const served = async () => {
    const statuses = [];
    for (const plural of ["servicemonitors", "prometheusrules"])
      statuses.push((await callApi(kubeconfig, "GET", `/apis/monitoring.coreos.com/v1/${plural}`)).status);
    return statuses;
  };
  assert.deepEqual(await settle(served, [200, 200], 30_000), [200, 200]);
}

interface Workload {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly template: { readonly metadata: object; readonly spec: object } };
}

function podOf({ spec: { template } }: Workload): AppliedObject {
  return { apiVersion: "v1", kind: "Pod", ...template, metadata: { name: "principal", namespace: "argocd-tokyo" } };
}

function rootPodOf(workload: Workload): AppliedObject {
  const pod = podOf(workload) as AppliedObject & { spec: object };
  return { ...pod, spec: { ...pod.spec, securityContext: { runAsUser: 0, runAsNonRoot: false } } } as AppliedObject;
}

function versionOf(body: unknown): string | undefined {
  return (body as { metadata?: { resourceVersion?: string } }).metadata?.resourceVersion;
}
