/**
 * Network policies as they act: whether a connection between two ends comes about, as
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/ has it. A policy's ports are numbers here.
 */
import { isIP } from "node:net";

/** One end of a connection: a pod, or an address outside of the cluster. */
export type End =
  | {
      readonly namespace: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly namespaceLabels?: Readonly<Record<string, string>>;
    }
  | { readonly address: string };

/** A connection. */
export interface Flow {
  readonly from: End;
  readonly to: End;
  readonly port: number;
  /** Default TCP */
  readonly protocol?: "TCP" | "UDP";
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
}

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string };
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly protocol?: string; readonly port?: number | string }[];
}

/** A networking.k8s.io/v1 NetworkPolicy, as far as it is read here. */
export interface Policy {
  readonly metadata: { readonly namespace?: string };
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
  };
}

/** Whether both ends let a connection through. */
export function admits(policies: readonly Policy[], flow: Flow): boolean {
  return admitsAt(policies, flow, "Egress") && admitsAt(policies, flow, "Ingress");
}

function admitsAt(policies: readonly Policy[], flow: Flow, type: "Egress" | "Ingress"): boolean {
  const [own, other] = type === "Egress" ? [flow.from, flow.to] : [flow.to, flow.from];
  if (!("namespace" in own)) return true;
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === own.namespace && matches(spec.podSelector, own.labels) && typesOf(spec).includes(type),
  );
  if (selecting.length === 0) return true;
  return selecting.some(({ metadata, spec }) =>
    (type === "Egress" ? spec.egress : spec.ingress)?.some(
      (rule) => ruleHasPort(rule, flow) && ruleHasPeer(rule, other, metadata.namespace ?? ""),
    ),
  );
}

function typesOf({ policyTypes, egress }: Policy["spec"]): readonly string[] {
  return policyTypes ?? (egress === undefined ? ["Ingress"] : ["Ingress", "Egress"]);
}

function ruleHasPort({ ports }: Rule, { port, protocol = "TCP" }: Flow): boolean {
  if (ports === undefined || ports.length === 0) return true;
  return ports.some((each) => (each.protocol ?? "TCP") === protocol && (each.port === undefined || each.port === port));
}

function ruleHasPeer(rule: Rule, end: End, namespace: string): boolean {
  const peers = rule.from ?? rule.to;
  if (peers === undefined || peers.length === 0) return true;
  return peers.some((peer) => {
    if (peer.ipBlock !== undefined) return "address" in end && contains(peer.ipBlock.cidr, end.address);
    if (!("namespace" in end)) return false;
    const inNamespace =
      peer.namespaceSelector === undefined
        ? end.namespace === namespace
        : matches(peer.namespaceSelector, { "kubernetes.io/metadata.name": end.namespace, ...end.namespaceLabels });
    return inNamespace && (peer.podSelector === undefined || matches(peer.podSelector, end.labels));
  });
}

function matches({ matchLabels = {} }: Selector, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
}

/** IPv4 alone: the tables need no more. */
function contains(cidr: string, address: string): boolean {
  const [base = "", length = "32"] = cidr.split("/");
  if (isIP(base) !== 4 || isIP(address) !== 4) return false;
  const shift = 2 ** (32 - Number(length));
  const number = (text: string) => text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  return Math.floor(number(base) / shift) === Math.floor(number(address) / shift);
}
