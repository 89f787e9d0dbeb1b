/**
 * The metrics of a control plane: who may read them, and what a Prometheus needs to scrape them and to raise alarms:
 * narrower policies, a ConfigMap, and what the Prometheus operator reads. Services and ports are argo-cd v3.2.11's
 * (manifests/base) and the principal's own. Pure.
 */
import { stringify } from "yaml";
import type { HubSettings } from "../inventory/hub-schema.ts";
import { type AlertInput, alertGroups } from "./alerts.ts";
import type { ManifestObject } from "./manifests.ts";

/** `hub.metrics` of fleet.yaml. */
export type MetricsSettings = NonNullable<HubSettings["metrics"]>;

/** Port of the metrics by the name of the process. */
const PORTS: Readonly<Record<string, number>> = {
  "argocd-applicationset-controller": 8080,
  "argocd-repo-server": 8084,
  "argocd-server": 8083,
};
/** Name of the port in each Service that has one. */
const PORT_NAME = "metrics";
const NAME = "edge-fleet-metrics";
const LABELS = { "app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/managed-by": "edge-fleet" };

/** Adds them to a control plane. @param objects of one, without a namespace */
export function withMetrics(
  objects: readonly ManifestObject[],
  settings: MetricsSettings,
  input: Omit<AlertInput, "server">,
): ManifestObject[] {
  const server = objects.some(({ kind, metadata }) => kind === "Deployment" && metadata.name === "argocd-server");
  const groups = alertGroups({ ...input, server });
  const configuration: ManifestObject = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: NAME, labels: LABELS },
    data: {
      "alerts.yaml": stringify({ groups }, { lineWidth: 0 }),
      "scrape.yaml": stringify({ scrape_configs: [scrapeConfiguration(input.namespace)] }, { lineWidth: 0 }),
    },
  };
  const limited = objects.map((object) => (object.kind === "NetworkPolicy" ? limit(object, settings) : object));
  return [...limited, configuration, ...(settings.operator ? operatorObjects(groups) : [])];
}

/** Upstream lets every namespace to the metrics. */
function limit(policy: ManifestObject, { namespace }: MetricsSettings): ManifestObject {
  const port = PORTS[policy.metadata.name.replace(/-network-policy$/, "")];
  if (port === undefined) return policy;
  const spec = policy.spec as { readonly ingress: readonly { readonly ports?: readonly { port: number }[] }[] };
  const others = spec.ingress.flatMap(({ ports = [], ...rule }) => {
    const left = ports.filter((open) => open.port !== port);
    return left.length === 0 ? [] : [{ ...rule, ports: left }];
  });
  const from = [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } } }];
  return { ...policy, spec: { ...spec, ingress: [...others, { from, ports: [{ protocol: "TCP", port }] }] } };
}

/** Its labels `namespace`, `service` and `pod` are those that the operator sets: the alerts fit both. */
function scrapeConfiguration(namespace: string): object {
  const meta = (name: string) => `__meta_kubernetes_${name}`;
  const label = (source: string, target: string) => ({ source_labels: [meta(source)], target_label: target });
  return {
    job_name: namespace,
    kubernetes_sd_configs: [{ role: "endpointslice", namespaces: { names: [namespace] } }],
    relabel_configs: [
      { source_labels: [meta("endpointslice_port_name")], regex: PORT_NAME, action: "keep" },
      label("namespace", "namespace"),
      label("service_name", "service"),
      label("pod_name", "pod"),
    ],
  };
}

/** https://prometheus-operator.dev/docs/api-reference/api/: one monitor for all Services of the namespace with such a port. */
function operatorObjects(groups: readonly object[]): ManifestObject[] {
  const apiVersion = "monitoring.coreos.com/v1";
  const metadata = { name: NAME, labels: LABELS };
  const partOf = { key: "app.kubernetes.io/part-of", operator: "In", values: ["argocd", "argocd-agent"] };
  return [
    {
      apiVersion,
      kind: "ServiceMonitor",
      metadata,
      spec: { selector: { matchExpressions: [partOf] }, endpoints: [{ port: PORT_NAME }] },
    },
    { apiVersion, kind: "PrometheusRule", metadata, spec: { groups } },
  ];
}
