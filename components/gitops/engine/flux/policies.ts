/**
 * Who may talk to whom in Flux' namespace: nobody, but for what is listed here. The kubelet's probes come from the node
 * itself, which network policies let through.
 */
import type { types } from "@pulumi/kubernetes";
import { API_PORTS, DNS, tcp } from "../argocd/policies.ts";
import { fluxMeta, fluxPodLabels } from "./object.ts";
import type { FluxController } from "./settings.ts";
import { ARCHIVE_PORT } from "./source-controller.ts";

type NetworkPolicy = types.input.networking.v1.NetworkPolicy;

const SOURCE: FluxController = "source-controller";
const KUSTOMIZE: FluxController = "kustomize-controller";

/** One that closes the namespace, and one for each controller. Git may be at any address and port. */
export function fluxPolicies(): NetworkPolicy[] {
  const pods = (controller: FluxController) => ({ matchLabels: fluxPodLabels(controller) });
  const policy = (name: string, spec: types.input.networking.v1.NetworkPolicySpec): NetworkPolicy => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: fluxMeta(name),
    spec: { ...spec, policyTypes: ["Ingress", "Egress"] },
  });
  const archives = [tcp(ARCHIVE_PORT)];
  return [
    policy("deny-all", { podSelector: {} }),
    policy(SOURCE, {
      podSelector: pods(SOURCE),
      ingress: [{ from: [{ podSelector: pods(KUSTOMIZE) }], ports: archives }],
      egress: [DNS, { ports: [{ protocol: "TCP" }] }],
    }),
    policy(KUSTOMIZE, {
      podSelector: pods(KUSTOMIZE),
      egress: [DNS, { to: [{ podSelector: pods(SOURCE) }], ports: archives }, { ports: API_PORTS.map(tcp) }],
    }),
  ];
}
