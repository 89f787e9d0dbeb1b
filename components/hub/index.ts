/**
 * The Hub component: Argo CD on the one reachable cluster. Its custom resource definitions once, and for each region a
 * control plane in a namespace of its own, with an account for that region's stack whose rights end there.
 */
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { controlPlaneNamespace } from "../gitops/labels.ts";
import type { HubArgs, RegionAccess } from "./args.ts";
import { hubProvider } from "./cluster.ts";
import { ControlPlane } from "./region-control-plane.ts";

/**
 * Argo CD on the hub. Everything is protected, as devices' workloads hang on it: a control plane goes only after its region
 * was declared removed, the hub itself only after `pulumi state unprotect`.
 */
export class Hub extends pulumi.ComponentResource {
  /** UID of the cluster that the hub is installed on. */
  readonly clusterUid: pulumi.Output<string>;
  /** Access by region. */
  readonly regions: Readonly<Record<string, RegionAccess>>;

  constructor(name: string, args: HubArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:Hub", name, {}, { protect: true, ...opts });
    this.clusterUid = pulumi.output(args.cluster.uid);
    const provider = hubProvider(`${name}-cluster`, args.cluster, {}, { parent: this });
    const definitions =
      args.definitions === "adopt"
        ? []
        : [
            new kubernetes.yaml.v2.ConfigGroup(
              `${name}-crds`,
              { objs: [...args.manifests.crds], skipAwait: args.awaitReady === false },
              { parent: this, provider },
            ),
          ];
    this.regions = Object.fromEntries(
      Object.entries(args.regions).map(([region, standing]) => {
        const controlPlane = new ControlPlane(
          `${name}-${region}`,
          { ...args, ...standing, region, provider },
          { parent: this, dependsOn: definitions },
        );
        return [region, controlPlane.access];
      }),
    );
    this.registerOutputs({
      clusterUid: this.clusterUid,
      namespaces: Object.keys(args.regions).map(controlPlaneNamespace),
    });
  }
}
