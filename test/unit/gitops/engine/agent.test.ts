/**
 * The objects of a device's agent. What they claim of argocd-agent was read at commit acb60cd1, five days before its release
 * v0.10.0; the file is beside each claim.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { renderAgent } from "../../../../components/gitops/engine/agent/index.ts";
import type { AgentSettings } from "../../../../components/gitops/engine/agent/settings.ts";
import { admits, type End, type Policy } from "../../../flows.ts";
import { assertGolden } from "../../../golden.ts";
import { validate, writeKubernetesSchemas } from "../schemas.ts";
import { type Container, type ParsedObject, parsedEngine } from "./objects.ts";

const SETTINGS: AgentSettings = {
  image: `quay.io/argoprojlabs/argocd-agent:v0.10.0@sha256:${"e".repeat(64)}`,
  address: "tokyo.hub.example.com",
  port: 443,
  generation: 2026,
};

function parsed(settings: Partial<AgentSettings> = {}): ParsedObject[] {
  return parseAllDocuments(renderAgent({ ...SETTINGS, ...settings })).map((one) => one.toJS() as ParsedObject);
}

interface PodTemplate {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: { readonly containers: readonly [Omit<Container, "env"> & { readonly env: readonly Variable[] }] };
}
interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly configMapKeyRef?: { readonly key: string } };
}

function templateOf(settings: Partial<AgentSettings> = {}): PodTemplate {
  const deployment = parsed(settings).find(({ kind }) => kind === "Deployment");
  return deployment?.spec?.template as PodTemplate;
}

test("the agent is as reviewed", () => assertGolden("engine/argocd-agent.yaml", renderAgent(SETTINGS)));

test("Kubernetes' own schemas take every object", (context) => {
  const schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  context.after(() => rmSync(schemas, { recursive: true, force: true }));
  writeKubernetesSchemas(schemas);
  const count = parsed().length;
  assert.match(
    validate(schemas, renderAgent(SETTINGS)),
    new RegExp(`Valid: ${count}, Invalid: 0, Errors: 0, Skipped: 0`),
  );
});

/** cmd/argocd-agent/agent.go: every variable that the command reads of those that are set, and what it is once set. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  ARGOCD_AGENT_MODE: "managed",
  ARGOCD_AGENT_CREDS: "mtls:any",
  ARGOCD_AGENT_REMOTE_SERVER: "tokyo.hub.example.com",
  ARGOCD_AGENT_REMOTE_PORT: "443",
  ARGOCD_AGENT_NAMESPACE: "argocd",
  ARGOCD_AGENT_ALLOWED_NAMESPACES: "argocd",
  ARGOCD_AGENT_DESTINATION_BASED_MAPPING: "true",
  ARGOCD_AGENT_TLS_SECRET_NAME: "argocd-agent-client-tls-2026",
  ARGOCD_AGENT_TLS_ROOT_CA_SECRET_NAME: "argocd-agent-ca",
  ARGOCD_AGENT_TLS_MIN_VERSION: "tls1.3",
  ARGOCD_AGENT_KEEP_ALIVE_PING_INTERVAL: "50s",
  ARGOCD_AGENT_ENABLE_COMPRESSION: "true",
  ARGOCD_AGENT_INFORMER_SYNC_TIMEOUT: "120s",
  ARGOCD_AGENT_ENABLE_RESOURCE_PROXY: "false",
  ARGOCD_AGENT_LOG_FORMAT: "json",
  REDIS_ADDR: "argocd-redis:6379",
  ARGOCD_AGENT_HEARTBEAT_INTERVAL: "60s",
  ARGOCD_AGENT_CACHE_REFRESH_INTERVAL: "5m",
  ARGOCD_AGENT_SOURCE_UID_MISMATCH_POLICY: "upsert",
  REDIS_PASSWORD: "(secret)",
  // Go's own: https://pkg.go.dev/runtime#hdr-Environment_Variables
  GOMEMLIMIT: "153MiB",
};

/** install/kubernetes/agent/agent-params-cm.yaml: the keys that upstream's ConfigMap has, of those that are set. */
const KEYS = [
  "agent.allowed-namespaces",
  "agent.compression.enable",
  "agent.creds",
  "agent.destination-based-mapping",
  "agent.informer-sync-timeout",
  "agent.keep-alive.interval",
  "agent.log.format",
  "agent.mode",
  "agent.namespace",
  "agent.redis.address",
  "agent.resource-proxy.enable",
  "agent.server.address",
  "agent.server.port",
  "agent.tls.min-version",
  "agent.tls.root-ca-secret-name",
  "agent.tls.secret-name",
];

test("every variable is one that the agent reads, with the value that was measured", () => {
  const data = parsed().find(({ kind }) => kind === "ConfigMap")?.data ?? {};
  const [{ env, args }] = templateOf().spec.containers;
  const found = env.map(({ name, value, valueFrom }) => [
    name,
    value ?? (valueFrom?.configMapKeyRef === undefined ? "(secret)" : data[valueFrom.configMapKeyRef.key]),
  ]);
  assert.deepEqual(Object.fromEntries(found), ENVIRONMENT);
  assert.deepEqual(Object.keys(data).sort(), KEYS);
  assert.deepEqual(args, ["agent"]);
});

test("it has no probe, since it says 503 for as long as the hub is out of reach", () => {
  const [container] = templateOf().spec.containers;
  for (const probe of ["livenessProbe", "readinessProbe", "startupProbe"]) assert.equal(probe in container, false);
});

test("another certificate or address is another pod", () => {
  const { annotations } = templateOf().metadata;
  for (const other of [{ generation: 2027 }, { address: "10.0.0.1" }, { port: 8443 }])
    assert.notDeepEqual(templateOf(other).metadata.annotations, annotations);
  assert.equal(renderAgent({ ...SETTINGS }), renderAgent(SETTINGS));
});

test("it writes no Secret, and Applications of its own namespace alone", () => {
  const rules = parsed().flatMap(({ kind, ...object }) => {
    const { rules: own = [] } = object as { rules?: { resources: string[]; verbs: string[] }[] };
    return own.map((rule) => ({ kind, ...rule }));
  });
  const writes = rules.filter(({ verbs }) => verbs.some((verb) => !["get", "list", "watch"].includes(verb)));
  assert.deepEqual(
    writes.map(({ kind, resources }) => [kind, ...resources]),
    [
      ["Role", "applications", "appprojects"],
      ["Role", "configmaps"],
      ["Role", "configmaps"],
      ["Role", "events"],
    ],
  );
});

const pod = (name: string, namespace = "argocd"): End => ({ namespace, labels: { "app.kubernetes.io/name": name } });
const AGENT = pod("argocd-agent-agent");
const OUTSIDE: End = { address: "203.0.113.9" };

const FLOWS: readonly (readonly [
  what: string,
  from: End,
  to: End,
  port: number,
  protocol: "TCP" | "UDP",
  open: boolean,
])[] = [
  ["the agent reaches the principal", AGENT, OUTSIDE, 9443, "TCP", true],
  ["the agent reaches the API server", AGENT, OUTSIDE, 6443, "TCP", true],
  ["the agent asks DNS", AGENT, OUTSIDE, 53, "UDP", true],
  ["the agent reads redis", AGENT, pod("argocd-redis"), 6379, "TCP", true],
  ["the agent reaches no Git over SSH", AGENT, OUTSIDE, 22, "TCP", false],
  ["the agent reaches no repo-server", AGENT, pod("argocd-repo-server"), 8081, "TCP", false],
  ["nobody reaches the agent", pod("argocd-application-controller"), AGENT, 8181, "TCP", false],
  ["nobody outside reaches the agent", OUTSIDE, AGENT, 8181, "TCP", false],
  ["the controller still reads redis", pod("argocd-application-controller"), pod("argocd-redis"), 6379, "TCP", true],
  ["another pod does not read redis", pod("web", "edge-apps"), pod("argocd-redis"), 6379, "TCP", false],
  [
    "another pod does not pose as the agent",
    pod("argocd-agent-agent", "edge-apps"),
    pod("argocd-redis"),
    6379,
    "TCP",
    false,
  ],
];

test("beside the engine's own policies, those of the agent admit what it needs and nothing else", () => {
  const policies = [...parsedEngine(), ...parsed({ port: 9443 })].filter(({ kind }) => kind === "NetworkPolicy");
  const wrong = FLOWS.filter(
    ([, from, to, port, protocol, open]) =>
      admits(policies as unknown as Policy[], { from, to, port, protocol }) !== open,
  );
  assert.deepEqual(
    wrong.map(([what]) => what),
    [],
  );
  const without = parsedEngine().filter(({ kind }) => kind === "NetworkPolicy") as unknown as Policy[];
  assert.ok(!admits(without, { from: AGENT, to: OUTSIDE, port: 9443 }), "the table can fail");
});
