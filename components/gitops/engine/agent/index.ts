/**
 * The agent of a device (argocd-agent, managed, with destination-based mapping): the process that takes Applications
 * and projects from the hub, over a connection that the device makes, and tells the hub how they are. It comes on top
 * of the device's own Argo CD (../argocd), which reads Git itself. Its objects and their text follow from settings
 * alone. Pure.
 *
 * No probe: its `/healthz` says 503 for as long as the hub is out of reach (agent/agent.go: healthzHandler), and a device
 * without a link would restart it for ever. No live view, so no right on what it would show.
 */
import { createHash } from "node:crypto";
import type { types } from "@pulumi/kubernetes";
import { formatObjects } from "../../yaml.ts";
import { clusterMeta, deployment, ENGINE_NAMESPACE, engineMeta, podTemplate } from "../argocd/object.ts";
import type { EngineObject } from "../pod.ts";
import { agentEnvironment, PARAMETERS, parameterData } from "./parameters.ts";
import { agentPolicies } from "./policies.ts";
import { AGENT_MEMORY, type AgentSettings } from "./settings.ts";

const NAME = "argocd-agent-agent";

/** The agent's objects, in the order in which they are applied. */
export function agentObjects(settings: AgentSettings): EngineObject[] {
  const data = parameterData(settings);
  return [
    ...account(),
    { apiVersion: "v1", kind: "ConfigMap", metadata: engineMeta(PARAMETERS), data },
    ...agentPolicies(settings),
    agent(settings, data),
  ] as EngineObject[];
}

/** The agent's objects as one text of YAML. */
export function renderAgent(settings: AgentSettings): string {
  return formatObjects([], agentObjects(settings));
}

function agent(settings: AgentSettings, data: Record<string, string>): types.input.apps.v1.Deployment {
  const container = {
    name: NAME,
    image: settings.image,
    args: ["agent"],
    env: agentEnvironment(settings, AGENT_MEMORY),
    memory: AGENT_MEMORY,
    cpuMilli: 10,
  };
  const template = podTemplate(NAME, container, [], NAME);
  // A running agent reads its parameters, and the Secrets that they name, no second time.
  const annotations = {
    "edge-fleet.dev/configuration": createHash("sha256").update(JSON.stringify(data)).digest("hex"),
  };
  return deployment(NAME, { ...template, metadata: { ...template.metadata, annotations } });
}

const READ = ["get", "list", "watch"];
const WRITE = ["create", "update", "patch", "delete"];
const RBAC = "rbac.authorization.k8s.io";
const GPG_KEYS = "argocd-gpg-keys-cm";

/**
 * Its account. With destination-based mapping it watches Applications of every namespace (agent/agent.go), and upstream lets
 * it change them there too; here it changes those of its own namespace. It reads its namespace's Secrets, as it must for
 * its certificate, and writes none: the device has its access to Git from its own stack, not from the hub.
 */
function account(): object[] {
  const subjects = [{ kind: "ServiceAccount", name: NAME, namespace: ENGINE_NAMESPACE }];
  const granted = (kind: string) => ({ roleRef: { apiGroup: RBAC, kind, name: NAME }, subjects });
  const apiVersion = `${RBAC}/v1`;
  const inside = [
    { apiGroups: ["argoproj.io"], resources: ["applications", "appprojects"], verbs: [...READ, ...WRITE] },
    { apiGroups: [""], resources: ["secrets"], verbs: READ },
    // The hub's list of keys that sign commits, which it hands on: internal/backend/kubernetes/gpgkey/kubernetes.go.
    { apiGroups: [""], resources: ["configmaps"], verbs: [...READ, "create"] },
    { apiGroups: [""], resources: ["configmaps"], resourceNames: [GPG_KEYS], verbs: ["update", "patch", "delete"] },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "list"] },
  ];
  const everywhere = [
    { apiGroups: ["argoproj.io"], resources: ["applications"], verbs: READ },
    { apiGroups: [""], resources: ["namespaces"], verbs: READ },
  ];
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: engineMeta(NAME) },
    { apiVersion, kind: "Role", metadata: engineMeta(NAME), rules: inside },
    { apiVersion, kind: "RoleBinding", metadata: engineMeta(NAME), ...granted("Role") },
    { apiVersion, kind: "ClusterRole", metadata: clusterMeta(NAME), rules: everywhere },
    { apiVersion, kind: "ClusterRoleBinding", metadata: clusterMeta(NAME), ...granted("ClusterRole") },
  ];
}
