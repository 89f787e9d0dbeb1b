/** The objects that every scaffolded workload has around its Deployment. */
import type { types } from "@pulumi/kubernetes";

/**
 * A Service inside the device's cluster, on port 80.
 * @param selector labels of the workload's pods, of which `http` is the named port
 */
export function clusterService(name: string, selector: Readonly<Record<string, string>>) {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, labels: selector },
    spec: { type: "ClusterIP", selector, ports: [{ name: "http", port: 80, targetPort: "http", protocol: "TCP" }] },
  } satisfies types.input.core.v1.Service;
}

/** Lets the pods of the namespace call a workload's port `http`, which the default-deny policy forbids. */
export function allowFromNamespace(name: string, selector: Readonly<Record<string, string>>) {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name },
    spec: {
      podSelector: { matchLabels: selector },
      policyTypes: ["Ingress"],
      ingress: [{ from: [{ podSelector: {} }], ports: [{ protocol: "TCP", port: "http" }] }],
    },
  } satisfies types.input.networking.v1.NetworkPolicy;
}
