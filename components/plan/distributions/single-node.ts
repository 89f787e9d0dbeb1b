/**
 * What a profile may not ask of a distribution that runs as one node and whose containerd edge-fleet gives drop-ins, each as
 * a finding with its fix. Pure.
 */
import type { Profile } from "../../inventory/types.ts";
import { checkTokenServers } from "./containerd.ts";
import { error, type Finding } from "./finding.ts";
import { checkRegistries } from "./registries.ts";
import { checkRelease } from "./release.ts";
import { checkTaints } from "./taints.ts";
import { checkWasm } from "./wasm.ts";

/** What differs between the distributions. */
export interface SingleNode {
  /** Oldest release that works. */
  readonly oldest: string;
  /** First minor release with containerd 2. */
  readonly containerd2: number;
  /** Why it joins nobody, and what to use instead. */
  readonly joining: string;
  /** RAM below which it is refused, in MiB, and what is said then behind the figure. */
  readonly memoryMiB: number;
  readonly memoryFix: string;
  /** Whether it runs CoreDNS, which a device waits for. */
  readonly dns: boolean;
}

/** What stands against a single node. */
export function checkSingleNode(profile: Profile, node: SingleNode): Finding[] {
  const { joins, memoryMiB } = profile;
  return [
    ...checkRelease(profile, node.oldest),
    ...(joins === undefined ? [] : [error("joins", `${joins} is refused: ${node.joining}`)]),
    ...(memoryMiB >= node.memoryMiB
      ? checkWasm(profile)
      : [error("memory", `${memoryMiB} MiB of memory is not enough for ${node.memoryFix}`)]),
    ...checkInterface(profile),
    ...checkRegistries(profile),
    ...checkTokenServers(profile, node.containerd2),
    ...checkTaints(profile, node.dns),
  ];
}

/** A setting that flannel alone takes: to ignore it would let an operator believe in it. */
function checkInterface({ distribution, network }: Profile): Finding[] {
  if (network.interface === undefined) return [];
  return [error("network.interface", `has no meaning for ${distribution} - set network.nodeIp instead`)];
}
