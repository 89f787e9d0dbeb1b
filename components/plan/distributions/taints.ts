/**
 * Whether the cluster's DNS can run on its first node, by the node's taints. Where it cannot, the device never becomes
 * ready, and every first apply would be taken back. Pure.
 */
import type { Profile } from "../../inventory/types.ts";
import { error, type Finding } from "./finding.ts";

/**
 * Taints that CoreDNS tolerates as the distributions run it; `PreferNoSchedule` keeps nothing off.
 * https://github.com/k3s-io/k3s/blob/master/manifests/coredns.yaml,
 * https://github.com/k0sproject/k0s/blob/main/pkg/component/controller/coredns.go
 */
const TOLERATED = /^CriticalAddonsOnly=|^node-role\.kubernetes\.io\/control-plane=.*:NoSchedule$|:PreferNoSchedule$/;

/**
 * What stands against the taints of a server.
 * @param dns whether the distribution runs CoreDNS and a device waits for it
 */
export function checkTaints({ taints }: Pick<Profile, "taints">, dns: boolean): Finding[] {
  const repelling = taints.filter((taint) => !TOLERATED.test(taint));
  if (!dns || repelling.length === 0) return [];
  return [
    error(
      "taints",
      `${repelling.join(", ")} keeps CoreDNS off the node, without which the device does not become ready - use the effect PreferNoSchedule or the key CriticalAddonsOnly`,
    ),
  ];
}
