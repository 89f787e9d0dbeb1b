/** What a region's principal waits for before it starts: two ConfigMaps that the region's stack makes. */
import { controlPlaneNamespace, REGION_LABEL } from "../gitops/labels.ts";

/**
 * Names of the ConfigMaps, which the principal's pod has as volumes: the certificates that it refuses (argocd-agent acb60cd1,
 * internal/config/constants.go), and the word that the region's Applications are there. A principal without the first lets
 * stolen devices in. One that finds no Applications, as on a hub that was built anew, tells every agent to delete its own
 * (the same, internal/resync/resync.go).
 */
export const STARTING_CONDITIONS = {
  blocklist: "argocd-agent-tls-blocklist",
  registered: "edge-fleet-registered",
} as const;

/**
 * Renders one of them. A principal that runs takes a changed blocklist at once, and drops the agents that it names.
 * @param data of the blocklist the certificates, see `planBlocklist`. Default: none
 */
export function renderStartingCondition(
  condition: keyof typeof STARTING_CONDITIONS,
  region: string,
  data: Readonly<Record<string, string>> = {},
) {
  const name = STARTING_CONDITIONS[condition];
  return {
    metadata: { name, namespace: controlPlaneNamespace(region), labels: { [REGION_LABEL]: region } },
    data: { ...data },
  };
}
