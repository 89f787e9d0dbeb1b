/**
 * The Hub component: Argo CD on the one reachable cluster. Its custom resource definitions once, and for each region a
 * control plane in a namespace of its own, with an account for that region's stack whose rights end there.
 */
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { HubArgs, RegionAccess } from "./args.ts";
import { ControlPlane } from "./region-control-plane.ts";

/** Argo CD on the hub. */
export class Hub extends pulumi.ComponentResource {
  /** Access by region. */
  readonly regions: Readonly<Record<string, RegionAccess>>;

  constructor(name: string, args: HubArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:Hub", name, {}, opts);
    const provider = new kubernetes.Provider(
      `${name}-cluster`,
      { kubeconfig: args.kubeconfig, clusterIdentifier: name },
      { parent: this },
    );
    const definitions = new kubernetes.yaml.v2.ConfigGroup(
      `${name}-crds`,
      { objs: [...args.manifests.crds], skipAwait: !args.awaitReady },
      { parent: this, provider },
    );
    this.regions = Object.fromEntries(
      args.regions.map((region) => {
        const controlPlane = new ControlPlane(
          `${name}-${region}`,
          { ...args, region, clusterIdentifier: name, provider },
          { parent: this, dependsOn: [definitions] },
        );
        return [region, controlPlane.access];
      }),
    );
    this.registerOutputs();
  }
}
