/**
 * The Hub component: Argo CD on the one reachable cluster. Its custom resource definitions once, and for each region a
 * control plane in a namespace of its own, with an account for that region's stack whose rights end there.
 */
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ProjectWorkload } from "../registration/index.ts";
import type { Cluster } from "./kubeconfig.ts";
import type { ArgoCdManifests } from "./manifests.ts";
import { ControlPlane } from "./region-control-plane.ts";

export interface HubArgs {
  /** Path of the kubeconfig with which the hub is installed. */
  readonly kubeconfig: string;
  /** The cluster that it points to. */
  readonly cluster: Cluster;
  /** Verified manifests of the pinned Argo CD release. */
  readonly manifests: ArgoCdManifests;
  /** Regions to give a control plane. */
  readonly regions: readonly string[];
  /** URL of the fleet's Git repository: the only source that workloads may come from. */
  readonly gitUrl: string;
  /** Workloads of fleet.yaml: their namespaces and projects. Default: none. */
  readonly workloads?: readonly ProjectWorkload[];
  /** Wait until the control planes run. False where no kubelet would ever start them. */
  readonly awaitReady: boolean;
}

/** What a region's stack needs to know of the hub. */
export interface RegionAccess {
  /** Namespace of the region's control plane. */
  readonly namespace: string;
  /** Kubeconfig of the region's account. Secret. */
  readonly kubeconfig: pulumi.Output<string>;
}

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
