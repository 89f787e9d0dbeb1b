/** What the hub is made from, and what it hands to the regions: the contract between the hub and its control planes. */
import type * as pulumi from "@pulumi/pulumi";
import type { ProjectWorkload } from "../registration/index.ts";
import type { Cluster } from "./kubeconfig.ts";
import type { ArgoCdManifests } from "./manifests.ts";

/** Which cluster becomes the hub of which regions. */
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
