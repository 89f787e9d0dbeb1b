/** What the hub is made from, and what it hands to the regions: the contract between the hub and its control planes. */
import type * as pulumi from "@pulumi/pulumi";
import type { ProjectFleet } from "../gitops/projects.ts";
import type { ControlPlaneOptions } from "./control-plane.ts";
import type { HubGit } from "./git.ts";
import type { ArgoCdManifests } from "./manifests.ts";
import type { MetricsSettings } from "./metrics.ts";
import type { PrincipalPlan } from "./principal/plan.ts";

/** The cluster that becomes the hub, and how it is reached. */
export interface HubCluster {
  /**
   * Text of a kubeconfig, e.g. of a cluster that the same program makes; the state keeps it, so let it be a secret.
   * Default: the files of `$KUBECONFIG`, else `~/.kube/config`, of whichever machine runs the program.
   */
  readonly kubeconfig?: pulumi.Input<string>;
  /** Context of the kubeconfig. Default: its current one. */
  readonly context?: pulumi.Input<string>;
  /**
   * UID of the cluster's namespace `kube-system`, which no other cluster has; `readClusterUid` asks for it. Where it is
   * another one than in the state, the engine has to replace every object, and refuses, as they are protected.
   */
  readonly uid: pulumi.Input<string>;
  /** URL of the API server, as regions reach it. */
  readonly server: pulumi.Input<string>;
  /** CA bundle of the API server, base64 of PEM. */
  readonly certificateAuthorityData: pulumi.Input<string>;
}

/** How one region stands on the hub. */
export interface HubRegion {
  /**
   * The region is declared removed: its control plane goes on running and loses its protection, so that it can leave
   * {@link HubArgs.regions} in a later run. Default false.
   */
  readonly removed?: boolean;
  /** How the region's control plane logs in to the Git repository, see `hubGit`. Default: the repository is public. */
  readonly git?: HubGit;
  /** Counts the tokens of the region's account: another number makes a new token and ends the old one. Default 1. */
  readonly tokenGeneration?: number;
  /** What the agents of the region's devices connect to, see `planPrincipals`. Default: no principal. */
  readonly principal?: PrincipalPlan;
}

/** Which cluster becomes the hub of which regions, and how much of Argo CD each gets. */
export interface HubArgs extends ControlPlaneOptions {
  readonly cluster: HubCluster;
  /** Verified manifests of the pinned Argo CD release. */
  readonly manifests: ArgoCdManifests;
  /** Regions to give a control plane, by name. One that merely leaves is refused: see {@link HubRegion.removed}. */
  readonly regions: Readonly<Record<string, HubRegion>>;
  /** URL of the fleet's Git repository: the only source that workloads may come from. */
  readonly gitUrl: pulumi.Input<string>;
  /** Workloads of fleet.yaml: their namespaces and projects. Default: none. */
  readonly workloads?: ProjectFleet["workloads"];
  /** What their projects allow beside that. Absent: nothing. */
  readonly projects?: ProjectFleet["projects"];
  /**
   * Argo CD's definitions: made and upgraded by the hub, or those that are there, see `refuseOlder`. Default install.
   */
  readonly definitions?: "install" | "adopt";
  /** Who reads the metrics of the control planes. Default: who is let to them by Argo CD's own policies, with no alerts. */
  readonly metrics?: MetricsSettings | undefined;
  /** Wait until the control planes run. False where no kubelet would ever start them. Default true. */
  readonly awaitReady?: boolean;
}

/** What a region's stack needs to know of the hub. */
export interface RegionAccess {
  /** Namespace of the region's control plane. */
  readonly namespace: string;
  /** Kubeconfig of the region's account, whose cluster is named `hub-<uid>`. Secret. */
  readonly kubeconfig: pulumi.Output<string>;
  /**
   * Address that the load balancer of each principal has got, by its release; empty while it has none. Where no load
   * balancer leads to one, there is none. `gitops.agent.address` is a name for it, or itself.
   */
  readonly principalAddresses: Readonly<Record<string, pulumi.Output<string>>>;
}
