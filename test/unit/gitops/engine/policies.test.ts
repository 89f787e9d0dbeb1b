/**
 * The flows that the emitted network policies admit, computed from the objects as Kubernetes reads them: a connection needs
 * a rule of the one that opens it and a rule of the one that takes it, where a policy selects them.
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsedEngine, templates } from "./objects.ts";

interface Peer {
  readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
}
interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly protocol: string; readonly port?: number }[];
}
interface Policy {
  readonly podSelector: NonNullable<Peer["podSelector"]>;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

/** A pod of the namespace by its labels, or an address anywhere else. */
type End = Readonly<Record<string, string>> | "outside";

const POLICIES = parsedEngine()
  .filter(({ kind }) => kind === "NetworkPolicy")
  .map(({ spec }) => spec as unknown as Policy);

function selects({ matchLabels = {} }: NonNullable<Peer["podSelector"]>, end: End): boolean {
  if (end === "outside") return false;
  return Object.entries(matchLabels).every(([key, value]) => end[key] === value);
}

function admits(direction: "Ingress" | "Egress", of: End, other: End, protocol: string, port: number): boolean {
  const isolating = POLICIES.filter(
    (policy) => policy.policyTypes.includes(direction) && selects(policy.podSelector, of),
  );
  if (isolating.length === 0) return true;
  const rules = isolating.flatMap((policy) => (direction === "Ingress" ? policy.ingress : policy.egress) ?? []);
  return rules.some(({ from, to, ports }) => {
    const peers = direction === "Ingress" ? from : to;
    const peer = peers === undefined || peers.some(({ podSelector }) => podSelector && selects(podSelector, other));
    return peer && (ports ?? []).some((one) => one.protocol === protocol && (one.port ?? port) === port);
  });
}

const label = (name: string): End => ({ "app.kubernetes.io/name": name });
const ENDS: Readonly<Record<string, End>> = {
  controller: label("argocd-application-controller"),
  "repo-server": label("argocd-repo-server"),
  redis: label("argocd-redis"),
  "another pod": label("web"),
  outside: "outside",
};

test("every pod of the engine is one that the policies know", () => {
  const known = Object.values(ENDS).map((end) => JSON.stringify(end));
  for (const { metadata } of templates().values()) assert.ok(known.includes(JSON.stringify(metadata.labels)));
});

const FLOWS: readonly (readonly [from: string, to: string, protocol: string, port: number, open: boolean])[] = [
  ["controller", "redis", "TCP", 6379, true],
  ["repo-server", "redis", "TCP", 6379, true],
  ["another pod", "redis", "TCP", 6379, false],
  ["outside", "redis", "TCP", 6379, false],
  ["controller", "redis", "TCP", 6380, false],
  ["controller", "repo-server", "TCP", 8081, true],
  ["redis", "repo-server", "TCP", 8081, false],
  ["another pod", "repo-server", "TCP", 8081, false],
  ["outside", "repo-server", "TCP", 8081, false],
  ["controller", "repo-server", "TCP", 8084, false],
  ["outside", "repo-server", "TCP", 8084, false],
  ["repo-server", "controller", "TCP", 8082, false],
  ["outside", "controller", "TCP", 8082, false],
  ["controller", "outside", "TCP", 6443, true],
  ["controller", "outside", "TCP", 443, true],
  ["controller", "outside", "TCP", 16443, true],
  ["controller", "outside", "TCP", 22, false],
  ["controller", "outside", "UDP", 53, true],
  ["controller", "another pod", "TCP", 8080, false],
  ["repo-server", "outside", "UDP", 53, true],
  ["repo-server", "outside", "TCP", 443, true],
  ["repo-server", "outside", "TCP", 22, true],
  ["repo-server", "outside", "TCP", 8443, true],
  ["repo-server", "outside", "UDP", 123, false],
  ["redis", "outside", "TCP", 443, false],
  ["redis", "outside", "UDP", 53, false],
  ["redis", "controller", "TCP", 8082, false],
];

for (const [from, to, protocol, port, open] of FLOWS) {
  test(`${from} ${open ? "reaches" : "does not reach"} ${to} at ${protocol} ${port}`, () => {
    const [source, target] = [ENDS[from], ENDS[to]];
    assert.ok(source !== undefined && target !== undefined);
    const admitted =
      admits("Egress", source, target, protocol, port) && admits("Ingress", target, source, protocol, port);
    assert.equal(admitted, open);
  });
}
