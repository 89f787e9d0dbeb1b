/**
 * The RegionRegistration component: what a region's stack keeps on the hub, with the account that can do no more: one
 * cluster Secret per device and the region's ApplicationSets.
 */
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { leaveToEngine } from "../engine.ts";
import { applicationSetName } from "../gitops/labels.ts";
import type { ApplicationSet } from "../gitops/objects.ts";
import type { Profile } from "../inventory/index.ts";
import { renderClusterSecret } from "./cluster-secret.ts";
import { renderStartingCondition } from "./starting-condition.ts";

/** What is registered, and as whom. */
export interface RegionRegistrationArgs {
  /** Kubeconfig of the region's account on the hub, an output of the hub's stack. Secret. */
  readonly kubeconfig: pulumi.Input<string>;
  /**
   * UID of the hub's cluster, `Hub.clusterUid`: for a program that makes the hub too, whose preview does not know the
   * kubeconfig of a token that is yet to be made. Default: the UID in {@link kubeconfig}.
   */
  readonly clusterUid?: pulumi.Input<string>;
  /** Devices to register. */
  readonly profiles: readonly Profile[];
  /**
   * Ids of those of {@link profiles} that are declared removed: their Secrets are inert and no longer protected, so that
   * the next run may leave them out. Default: none.
   */
  readonly removed?: ReadonlySet<string>;
  /** The whole region is declared removed: nothing of it is protected, and all of {@link profiles} are removed. Default false. */
  readonly regionRemoved?: boolean;
  readonly applicationSets: readonly ApplicationSet[];
  /** Certificates that the region's principal refuses, see `planBlocklist`. Default: the region has no principal. */
  readonly blocklist?: Readonly<Record<string, string>> | undefined;
  /**
   * Wait until the ApplicationSets have made their Applications before the principal may start. False where no controller
   * runs. Default true.
   */
  readonly awaitReady?: boolean;
}

/**
 * A region and its devices on the hub. A device that merely leaves {@link RegionRegistrationArgs.profiles} is refused by
 * the engine. ApplicationSets are not protected: which there are follows from the number of devices and from the workloads
 * of fleet.yaml, and one that goes leaves its Applications as they are.
 */
export class RegionRegistration extends pulumi.ComponentResource {
  constructor(name: string, args: RegionRegistrationArgs, opts?: pulumi.ComponentResourceOptions) {
    const { removed, regionRemoved = false } = args;
    super("edge-fleet:index:RegionRegistration", name, {}, { protect: !regionRemoved, ...opts });
    const provider = new kubernetes.Provider(
      `${name}-hub`,
      {
        kubeconfig: args.kubeconfig,
        clusterIdentifier: clusterIdentifierOf(args),
        // A run that was killed before it saved its state leaves objects behind; the next run takes them over.
        upsertExistingObjects: true,
        // What is replaced is gone for a moment: the principal would let everybody in, and Argo CD forget the device.
        enableConfigMapMutable: true,
        enableSecretMutable: true,
      },
      { parent: this },
    );
    const child = { parent: this, provider };
    for (const profile of args.profiles) {
      const gone = regionRemoved || removed?.has(profile.id) === true;
      const options = gone ? { ...child, protect: false } : child;
      const secret = renderClusterSecret(profile, gone);
      leaveToEngine(new kubernetes.core.v1.Secret(`${name}-${profile.id}`, secret, options));
    }
    const open = { ...child, protect: false };
    const waits = args.blocklist !== undefined && args.awaitReady !== false;
    const sets = args.applicationSets.map((applicationSet) => {
      const suffix = applicationSet.metadata.name === applicationSetName() ? "" : `-${applicationSet.metadata.name}`;
      const object = waits ? awaited(applicationSet) : applicationSet;
      return new kubernetes.apiextensions.CustomResource(`${name}-applications${suffix}`, { ...object }, open);
    });
    sets.forEach(leaveToEngine);
    const [first] = args.profiles;
    if (args.blocklist !== undefined && first !== undefined) {
      const blocklist = renderStartingCondition("blocklist", first.region, args.blocklist);
      leaveToEngine(new kubernetes.core.v1.ConfigMap(`${name}-blocklist`, blocklist, open));
      const registered = renderStartingCondition("registered", first.region);
      leaveToEngine(new kubernetes.core.v1.ConfigMap(`${name}-registered`, registered, { ...open, dependsOn: sets }));
    }
    this.registerOutputs();
  }
}

/** Argo CD's word that a set's Applications are as it wants them; the provider waits for it, for as long as is said here. */
const UP_TO_DATE = {
  "pulumi.com/waitFor": "condition=ResourcesUpToDate",
  "pulumi.com/timeoutSeconds": "300",
};

function awaited(applicationSet: ApplicationSet): ApplicationSet {
  const { metadata } = applicationSet;
  return { ...applicationSet, metadata: { ...metadata, annotations: { ...metadata.annotations, ...UP_TO_DATE } } };
}

/**
 * `hub-<uid>`, the name of the cluster in a kubeconfig of the hub's: with another one the engine has to replace every
 * object, and refuses, as they are protected.
 */
function clusterIdentifierOf({ kubeconfig, clusterUid }: RegionRegistrationArgs): pulumi.Output<string> {
  if (clusterUid !== undefined) return pulumi.interpolate`hub-${clusterUid}`;
  return pulumi.unsecret(pulumi.output(kubeconfig).apply(hubNameOf));
}

/** Name of the hub's cluster in the kubeconfig of a region's account, `hub-<uid>`. @throws RunError when it has none */
export function hubNameOf(kubeconfig: string): string {
  const file = parse(kubeconfig) as { readonly clusters?: readonly { readonly name?: string }[] } | null;
  const name = file?.clusters?.[0]?.name;
  if (name === undefined)
    throw new pulumi.RunError("the hub's kubeconfig of this region names no cluster - take the hub's output");
  return name;
}
