/**
 * How a region's stack comes to its account on the hub: the secret that its own configuration holds, else the output of the
 * hub's stack. A region whose access cannot be had is refused: without it the run would take its objects from the hub.
 */
import * as pulumi from "@pulumi/pulumi";
import { readStackOutputs, type StackResource } from "../engine.ts";
import { hubNameOf } from "../registration/region-registration.ts";

/** Configuration key of a region's kubeconfig, secret. */
export const HUB_KUBECONFIG = "edge-fleet:hubKubeconfig";

/**
 * Reads the kubeconfig of a region's account.
 * @param hubStack name of the hub's stack
 * @throws Error when it is in neither place, or cannot be decrypted
 */
export async function readHubKubeconfig(hubStack: string, region: string): Promise<string> {
  const own = pulumi.runtime.getConfig(HUB_KUBECONFIG);
  if (own !== undefined && own !== "") return own;
  const output = `kubeconfig-${region}`;
  const outputs = await readStackOutputs(hubStack).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `the outputs of the hub's stack ${hubStack} cannot be read: ${why} - run pulumi up on it first, set ${HUB_KUBECONFIG} here, or write hub: none in fleet.yaml`,
    );
  });
  const kubeconfig = outputs[output];
  if (typeof kubeconfig === "string" && kubeconfig !== "") return kubeconfig;
  if (output in outputs)
    throw new Error(
      `the output ${output} of the hub's stack ${hubStack} cannot be decrypted - use that stack's passphrase or key too, or set ${HUB_KUBECONFIG} in this stack`,
    );
  throw new Error(
    `the hub's stack ${hubStack} has no output ${output} - run pulumi up --stack ${hubStack} first, or write hub: none in fleet.yaml`,
  );
}

/**
 * Refuses a hub that is another cluster than the one on which the state has the region's objects.
 * @param kubeconfig its cluster is named after the hub's, `hub-<uid>`
 * @throws Error that names both clusters
 */
export function refuseOtherHub(region: string, kubeconfig: string, resources: readonly StackResource[]): void {
  const hub = hubNameOf(kubeconfig);
  const known = resources
    .filter(({ type }) => type === "pulumi:providers:kubernetes")
    .map(({ outputs }) => outputs.clusterIdentifier)
    .find((identifier) => typeof identifier === "string");
  if (known === undefined || known === hub) return;
  throw new Error(
    `the hub's kubeconfig of region ${region} leads to ${hub}, and the stack's objects are on ${known} - set the right one, ` +
      "or, where the hub was built anew, see docs/operations.md on a hub that is lost",
  );
}

/**
 * Refuses to leave a hub on which the region's objects are: its ApplicationSets would be deleted, and wait for a controller.
 * @throws Error that says how it is done
 */
export function refuseLeftHub(region: string, resources: readonly StackResource[]): void {
  const left = resources.find(({ type }) => type === "edge-fleet:index:RegionRegistration");
  if (left === undefined) return;
  throw new Error(
    `region ${region} has no hub any more, and its devices are registered on one - give it back; to leave the hub as it is, ` +
      `run: pulumi state delete '${left.urn}' --target-dependents --force --stack ${region}`,
  );
}
