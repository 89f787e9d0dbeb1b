/**
 * The objects of a region's principals. What they claim of argocd-agent was read at commit acb60cd1, five days before its
 * release v0.10.0; the file is beside each claim.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseAllDocuments, stringify } from "yaml";
import { selectControlPlane } from "../../../components/hub/control-plane.ts";
import type { ManifestObject } from "../../../components/hub/manifests.ts";
import { authoritySecret, principalObjects, serverSecret } from "../../../components/hub/principal/index.ts";
import {
  type PrincipalRelease,
  type PrincipalSettings,
  requireAgentCount,
} from "../../../components/hub/principal/settings.ts";
import { openFleetAuthority } from "../../../components/identity/authority.ts";
import { issuePrincipalCertificate } from "../../../components/identity/principal.ts";
import { admits, type End, type Policy } from "../../flows.ts";
import { assertGolden } from "../../golden.ts";
import { argocdManifests } from "../../lab/toolchain/index.ts";
import { validate, writeKubernetesSchemas } from "../gitops/schemas.ts";
import { authorityKey } from "../identity/keys.ts";

const release = (version: string): PrincipalRelease => ({
  version,
  image: `quay.io/argoprojlabs/argocd-agent:${version}@sha256:${"a".repeat(64)}`,
  port: 443,
  certificate: "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
});
const SETTINGS: PrincipalSettings = {
  namespace: "argocd-tokyo",
  exposure: { service: "LoadBalancer", annotations: {}, sourceRanges: [] },
  scraper: "monitoring",
  agents: 300,
  releases: [release("v0.10.0")],
};
const BOTH = { ...SETTINGS, releases: [release("v0.10.0"), release("v0.11.0")] };

const find = <T>(objects: readonly object[], kind: string, name = "argocd-agent-principal-v0-10-0"): T => {
  const found = objects.find((object) => {
    const { kind: own, metadata } = object as { kind: string; metadata: { name: string } };
    return own === kind && metadata.name === name;
  });
  assert.ok(found, `${kind} ${name}`);
  return found as T;
};

let schemas: string;
before(() => {
  schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  writeKubernetesSchemas(schemas);
});
after(() => rmSync(schemas, { recursive: true, force: true }));

test("two releases are two principals that share their account and policies, and nothing changes with the second or without the first", () => {
  const namesOf = (settings: PrincipalSettings) =>
    principalObjects(settings).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  const own = (slug: string) => [
    `ConfigMap argocd-agent-params-${slug}`,
    `Service argocd-agent-principal-${slug}`,
    `Service argocd-agent-principal-${slug}-metrics`,
    `PodDisruptionBudget argocd-agent-principal-${slug}`,
    `Deployment argocd-agent-principal-${slug}`,
  ];
  const shared = namesOf({ ...SETTINGS, releases: [] });
  assert.deepEqual(namesOf(BOTH), [...shared, ...own("v0-10-0"), ...own("v0-11-0")]);
  const both = principalObjects(BOTH);
  for (const alone of [SETTINGS, { ...SETTINGS, releases: [release("v0.11.0")] }])
    for (const object of principalObjects(alone))
      assert.deepEqual(find(both, object.kind, object.metadata.name), object, object.metadata.name);
});

test("each Service, Deployment and budget selects the pods of its own release alone", () => {
  const objects = principalObjects(BOTH);
  const selects = ({ kind, spec }: { kind: string; spec: { selector: Record<string, string> & Selector } }) =>
    kind === "Service" ? spec.selector : spec.selector.matchLabels;
  const selecting = objects.filter(({ kind }) => ["Service", "Deployment", "PodDisruptionBudget"].includes(kind));
  for (const version of ["v0.10.0", "v0.11.0"]) {
    const slug = version.replaceAll(".", "-");
    const { labels } = find<Deployment>(objects, "Deployment", `argocd-agent-principal-${slug}`).spec.template.metadata;
    const found = selecting.filter((object) =>
      Object.entries(selects(object as never)).every(([key, value]) => labels[key] === value),
    );
    assert.deepEqual(
      found.map(({ metadata }) => metadata.name.replace(/-metrics$/, "")),
      Array(4).fill(`argocd-agent-principal-${slug}`),
    );
  }
});

interface Selector {
  readonly matchLabels: Readonly<Record<string, string>>;
}

test("a region's principals are the golden ones", () => {
  const documents = principalObjects(BOTH).map((object) => stringify(object, { aliasDuplicateObjects: false }));
  assertGolden("hub/principal.yaml", documents.join("---\n"));
});

for (const exposure of [
  SETTINGS.exposure,
  { service: "NodePort", annotations: {}, sourceRanges: ["10.0.0.0/8"] },
  { service: "ClusterIP", annotations: { "example.com/a": "b" }, sourceRanges: [] },
  { service: "LoadBalancer", annotations: {}, sourceRanges: ["10.0.0.0/8", "192.0.2.0/24"] },
] as const)
  test(`every object is valid by Kubernetes' own schemas, with a ${exposure.service} for ${exposure.sourceRanges.length} ranges`, () => {
    const port = exposure.service === "NodePort" ? 30443 : 443;
    const releases = BOTH.releases.map((each) => ({ ...each, port }));
    const objects = principalObjects({ ...SETTINGS, releases, exposure });
    const summary = validate(schemas, objects.map((object) => JSON.stringify(object)).join("\n---\n"));
    assert.match(summary, new RegExp(`Summary: ${objects.length} resources found .* - Valid: ${objects.length}, `));
  });

/** cmd/argocd-agent/principal.go: every variable that the command reads of those that are set, with its own default. */
const VARIABLES: Readonly<Record<string, string>> = {
  ARGOCD_PRINCIPAL_LISTEN_HOST: "",
  ARGOCD_PRINCIPAL_LISTEN_PORT: "8443",
  ARGOCD_PRINCIPAL_METRICS_PORT: "8000",
  ARGOCD_PRINCIPAL_HEALTH_CHECK_PORT: "8003",
  ARGOCD_PRINCIPAL_NAMESPACE: "",
  ARGOCD_PRINCIPAL_ALLOWED_NAMESPACES: "[]",
  ARGOCD_PRINCIPAL_DESTINATION_BASED_MAPPING: "false",
  ARGOCD_PRINCIPAL_AUTH: "",
  ARGOCD_PRINCIPAL_TLS_SECRET_NAME: "argocd-agent-principal-tls",
  ARGOCD_PRINCIPAL_TLS_CLIENT_CERT_REQUIRE: "false",
  ARGOCD_PRINCIPAL_TLS_CLIENT_CERT_MATCH_SUBJECT: "false",
  ARGOCD_PRINCIPAL_TLS_MIN_VERSION: "tls1.3",
  ARGOCD_PRINCIPAL_KEEP_ALIVE_MIN_INTERVAL: "0",
  ARGOCD_PRINCIPAL_REDIS_SERVER_ADDRESS: "argocd-redis:6379",
  ARGOCD_PRINCIPAL_ENABLE_RESOURCE_PROXY: "true",
  ARGOCD_PRINCIPAL_LOG_FORMAT: "text",
  ARGOCD_PRINCIPAL_DISABLE_REDIS_PROXY: "false",
  REDIS_PASSWORD: "",
  // Go's own: https://pkg.go.dev/runtime#hdr-Environment_Variables
  GOMEMLIMIT: "math.MaxInt64",
};

/** install/kubernetes/principal/principal-params-cm.yaml: the keys that upstream's ConfigMap has, of those that are set. */
const KEYS = [
  "principal.allowed-namespaces",
  "principal.auth",
  "principal.destination-based-mapping",
  "principal.healthz.port",
  "principal.keep-alive.min-interval",
  "principal.listen.host",
  "principal.listen.port",
  "principal.log.format",
  "principal.metrics.port",
  "principal.namespace",
  "principal.redis.server.address",
  "principal.resource-proxy.enable",
  "principal.tls.client-cert.match-subject",
  "principal.tls.client-cert.require",
  "principal.tls.min-version",
  "principal.tls.secret-name",
];

interface Deployment {
  readonly spec: {
    readonly template: { readonly metadata: Metadata; readonly spec: PodSpec };
  };
}
interface Metadata {
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}
interface PodSpec {
  readonly containers: readonly {
    readonly args: readonly string[];
    readonly env: readonly {
      name: string;
      value?: string;
      valueFrom?: { configMapKeyRef?: { name: string; key: string } };
    }[];
  }[];
}

/** What the container's environment is once the kubelet has read the ConfigMap. */
function environment(settings: PrincipalSettings): Record<string, string | undefined> {
  const objects = principalObjects(settings);
  const { data } = find<{ data: Record<string, string> }>(objects, "ConfigMap", "argocd-agent-params-v0-10-0");
  const [container] = find<Deployment>(objects, "Deployment").spec.template.spec.containers;
  const entries = (container?.env ?? []).map(({ name, value, valueFrom }) => [
    name,
    value ?? (valueFrom?.configMapKeyRef === undefined ? "(secret)" : data[valueFrom.configMapKeyRef.key]),
  ]);
  return Object.fromEntries(entries);
}

test("every variable is one that the principal reads, and every key one that upstream's ConfigMap has", () => {
  assert.deepEqual(Object.keys(environment(SETTINGS)).sort(), Object.keys(VARIABLES).sort());
  const { data } = find<{ data: object }>(principalObjects(SETTINGS), "ConfigMap", "argocd-agent-params-v0-10-0");
  assert.deepEqual(Object.keys(data).sort(), KEYS);
});

test("agents are known by their whole subject, and no one is served without a certificate or by a live view", () => {
  const env = environment(SETTINGS);
  const [, pattern = ""] = /^mtls:subject:(.*)$/.exec(env.ARGOCD_PRINCIPAL_AUTH ?? "") ?? [];
  assert.equal(new RegExp(pattern).exec("CN=tokyo-0001")?.[1], "tokyo-0001");
  for (const subject of ["CN=tokyo-0001,O=acme", "O=acme,CN=tokyo-0001", "CN=Tokyo", "CN="])
    assert.equal(new RegExp(pattern).exec(subject), null);
  assert.deepEqual(
    [
      env.ARGOCD_PRINCIPAL_TLS_CLIENT_CERT_REQUIRE,
      env.ARGOCD_PRINCIPAL_TLS_CLIENT_CERT_MATCH_SUBJECT,
      env.ARGOCD_PRINCIPAL_ENABLE_RESOURCE_PROXY,
      env.ARGOCD_PRINCIPAL_DISABLE_REDIS_PROXY,
      env.ARGOCD_PRINCIPAL_NAMESPACE,
    ],
    ["true", "true", "false", "true", "argocd-tokyo"],
  );
});

test("another certificate is another pod, another number of agents is not", () => {
  const annotation = (settings: PrincipalSettings) =>
    find<Deployment>(principalObjects(settings), "Deployment").spec.template.metadata.annotations;
  const releases = [{ ...release("v0.10.0"), certificate: "another" }];
  assert.notDeepEqual(annotation({ ...SETTINGS, releases }), annotation(SETTINGS));
  assert.deepEqual(annotation({ ...SETTINGS, agents: 2 }), annotation(SETTINGS));
});

test("the Secrets hold certificates, and of the two keys the server's alone", () => {
  const key = authorityKey();
  const authority = openFleetAuthority(key);
  const pair = issuePrincipalCertificate(authority, { region: "tokyo", addresses: ["hub.example.com"] }, 2026);
  const secrets = [
    authoritySecret("argocd-tokyo", authority.certificate),
    serverSecret("argocd-tokyo", "v0.10.0", pair),
  ];
  assert.deepEqual(
    secrets.map(({ metadata, type, stringData }) => [metadata.name, type, Object.keys(stringData)]),
    // internal/config/constants.go; the type and the fields: internal/tlsutil/kubernetes.go.
    [
      ["argocd-agent-ca", "Opaque", ["ca.crt"]],
      ["argocd-agent-principal-tls-v0-10-0", "kubernetes.io/tls", ["tls.crt", "tls.key"]],
    ],
  );
  const body = key.split("\n")[1] ?? "";
  assert.ok(!JSON.stringify(secrets).includes(body));
  assert.equal(environment(SETTINGS).ARGOCD_PRINCIPAL_TLS_SECRET_NAME, secrets[1]?.metadata.name);
});

const pod = (name: string, namespace = "argocd-tokyo"): End => ({
  namespace,
  labels: { "app.kubernetes.io/name": name },
});
const principalPod = (version: string): End => ({
  namespace: "argocd-tokyo",
  labels: {
    "app.kubernetes.io/name": "argocd-agent-principal",
    "app.kubernetes.io/part-of": "argocd-agent",
    "app.kubernetes.io/component": "principal",
    "app.kubernetes.io/version": version,
  },
});
const [PRINCIPAL, NEXT] = [principalPod("v0.10.0"), principalPod("v0.11.0")];
const DEVICE: End = { address: "10.1.2.3" };
const STRANGER: End = { address: "203.0.113.9" };
const API: End = { address: "192.0.2.10" };

const FLOWS: readonly (readonly [what: string, from: End, to: End, port: number, admitted: boolean])[] = [
  ["an agent reaches the principal", DEVICE, PRINCIPAL, 8443, true],
  ["an address outside of the ranges does not", STRANGER, PRINCIPAL, 8443, false],
  ["an agent reaches the principal of the next release", DEVICE, NEXT, 8443, true],
  ["an address outside of the ranges does not reach that either", STRANGER, NEXT, 8443, false],
  ["an agent does not reach metrics", DEVICE, PRINCIPAL, 8000, false],
  ["monitoring reads metrics", pod("prometheus", "monitoring"), PRINCIPAL, 8000, true],
  ["monitoring reads those of the next release", pod("prometheus", "monitoring"), NEXT, 8000, true],
  ["monitoring does not pose as an agent", pod("prometheus", "monitoring"), PRINCIPAL, 8443, false],
  [
    "a pod of another region does not reach the principal",
    pod("argocd-server", "argocd-osaka"),
    PRINCIPAL,
    8000,
    false,
  ],
  ["the principal reads redis", PRINCIPAL, pod("argocd-redis"), 6379, true],
  ["the next release reads redis", NEXT, pod("argocd-redis"), 6379, true],
  ["the two principals do not reach each other", PRINCIPAL, NEXT, 8443, false],
  ["the repo-server still reads redis", pod("argocd-repo-server"), pod("argocd-redis"), 6379, true],
  ["nobody else reads redis", pod("curious"), pod("argocd-redis"), 6379, false],
  ["the principal reaches the API server", PRINCIPAL, API, 6443, true],
  ["the principal reaches no repo-server", PRINCIPAL, pod("argocd-repo-server"), 8081, false],
  ["the principal reaches no Git", PRINCIPAL, STRANGER, 22, false],
  ["the redis of another region is not the principal's", PRINCIPAL, pod("argocd-redis", "argocd-osaka"), 6379, false],
  [
    "the ApplicationSet controller still reaches the repo-server",
    pod("argocd-applicationset-controller"),
    pod("argocd-repo-server"),
    8081,
    true,
  ],
];

test("with Argo CD's own policies beside them, the policies admit what is needed and nothing else", async () => {
  const { directory } = await argocdManifests();
  const install = parseAllDocuments(readFileSync(join(directory, "namespace-install.yaml"), "utf8"))
    .map((document) => document.toJS() as ManifestObject | null)
    .filter((object): object is ManifestObject => object !== null);
  const policiesOf = (namespace: string) =>
    selectControlPlane({ namespaceInstall: install, images: undefined })
      .filter(({ kind }) => kind === "NetworkPolicy")
      .map((object) => ({ ...object, metadata: { ...object.metadata, namespace } }) as unknown as Policy);
  const exposure = { ...SETTINGS.exposure, sourceRanges: ["10.0.0.0/8"] };
  const own = principalObjects({ ...BOTH, exposure }).filter(({ kind }) => kind === "NetworkPolicy");
  const policies = [...policiesOf("argocd-tokyo"), ...policiesOf("argocd-osaka"), ...(own as unknown as Policy[])];
  const wrong = FLOWS.filter(([, from, to, port, admitted]) => admits(policies, { from, to, port }) !== admitted);
  assert.deepEqual(
    wrong.map(([what]) => what),
    [],
  );
  const open = principalObjects(SETTINGS).filter(({ kind }) => kind === "NetworkPolicy") as unknown as Policy[];
  assert.ok(admits(open, { from: STRANGER, to: PRINCIPAL, port: 8443 }));
});

test("upstream's own policy would have shut the agents of devices out, so the table can fail", () => {
  // install/kubernetes/principal/principal-redis-proxy-networkpolicy.yaml
  const upstream: Policy = {
    metadata: { namespace: "argocd-tokyo" },
    spec: {
      podSelector: { matchLabels: { "app.kubernetes.io/name": "argocd-agent-principal" } },
      policyTypes: ["Ingress"],
      ingress: [
        {
          from: [{ podSelector: { matchLabels: { "app.kubernetes.io/component": "agent" } } }],
          ports: [{ protocol: "TCP", port: 8443 }],
        },
      ],
    },
  };
  assert.ok(!admits([upstream], { from: DEVICE, to: PRINCIPAL, port: 8443 }));
});

test("a region with more agents than a principal takes is refused with the split to make", () => {
  requireAgentCount("tokyo", 400);
  assert.throws(() => requireAgentCount("tokyo", 901), {
    message:
      "region tokyo has 901 devices with gitops.engine argocd-agent, and a principal takes 400: at its start it lists all " +
      "Applications once for each - make 3 regions of it, of 301 devices each, or set gitops.engine to argocd for some",
  });
});
