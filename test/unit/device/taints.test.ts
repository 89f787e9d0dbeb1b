import assert from "node:assert/strict";
import { test } from "node:test";
import type { Profile } from "../../../components/inventory/types.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { buildProfile } from "./profile.ts";

const { k3s, k0s, microk8s, network } = buildProfile();
const DISTRIBUTIONS: Readonly<Record<string, Partial<Profile>>> = {
  k3s: {},
  k0s: { distribution: "k0s", k0s: { ...k0s, version: "v1.36.3+k0s.2" } },
  microk8s: { distribution: "microk8s", microk8s: { ...microk8s, version: "v1.36.2" } },
};
const REFUSED =
  /device edge-0001: taints: .* keeps CoreDNS off the node, .* - use the effect PreferNoSchedule or the key Crit/;

for (const [name, changes] of Object.entries(DISTRIBUTIONS)) {
  for (const taint of [
    "dedicated=edge:NoSchedule",
    "dedicated=edge:NoExecute",
    "role/CriticalAddonsOnly=1:NoExecute",
  ]) {
    test(`${taint} is refused on a server of ${name}, whose CoreDNS does not tolerate it`, () => {
      const taints = ["tier=spare:PreferNoSchedule", taint];
      assert.throws(() => renderDistribution(buildProfile({ ...changes, taints })), REFUSED);
    });
  }

  for (const taint of [
    "dedicated=edge:PreferNoSchedule",
    "CriticalAddonsOnly=true:NoExecute",
    "node-role.kubernetes.io/control-plane=:NoSchedule",
  ]) {
    test(`${taint} is taken on a server of ${name}`, () => {
      assert.deepEqual(renderDistribution(buildProfile({ ...changes, taints: [taint] })).taints, [taint]);
    });
  }
}

test("without CoreDNS, and on an agent, any taint is taken", () => {
  const taints = ["dedicated=edge:NoSchedule"];
  renderDistribution(buildProfile({ taints, k3s: { ...k3s, disable: ["coredns"] } }));
  const agent = buildProfile({ taints, id: "edge-0002", joins: "edge-0001", network: { ...network, shape: "lan" } });
  renderDistribution(agent, { server: { host: "edge-0001" }, secrets: { "token-edge-0001": "0123456789abcdef" } });
});
