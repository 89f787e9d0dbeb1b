/**
 * The RegionRegistration component: what a region's stack keeps on the hub, with the account that can do no more: one
 * cluster Secret per device and the region's ApplicationSets.
 */
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { leaveToEngine } from "../engine.ts";
import { applicationSetName } from "../gitops/labels.ts";
import type { ApplicationSet } from "../gitops/objects.ts";
import type { Profile } from "../inventory/index.ts";
import { renderClusterSecret } from "./cluster-secret.ts";

/** What is registered, and as whom. */
export interface RegionRegistrationArgs {
  /** Kubeconfig of the region's account on the hub. Secret. */
  readonly kubeconfig: pulumi.Input<string>;
  /** Devices to register. */
  readonly profiles: readonly Profile[];
  readonly applicationSets: readonly ApplicationSet[];
}

/** A region and its devices on the hub. */
export class RegionRegistration extends pulumi.ComponentResource {
  constructor(name: string, args: RegionRegistrationArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:RegionRegistration", name, {}, opts);
    const provider = new kubernetes.Provider(
      `${name}-hub`,
      {
        kubeconfig: args.kubeconfig,
        clusterIdentifier: "hub",
        // A run that was killed before it saved its state leaves objects behind; the next run takes them over.
        upsertExistingObjects: true,
      },
      { parent: this },
    );
    const child = { parent: this, provider };
    for (const profile of args.profiles) {
      leaveToEngine(new kubernetes.core.v1.Secret(`${name}-${profile.id}`, renderClusterSecret(profile), child));
    }
    for (const applicationSet of args.applicationSets) {
      const suffix = applicationSet.metadata.name === applicationSetName() ? "" : `-${applicationSet.metadata.name}`;
      const resource = `${name}-applications${suffix}`;
      leaveToEngine(new kubernetes.apiextensions.CustomResource(resource, { ...applicationSet }, child));
    }
    this.registerOutputs();
  }
}
