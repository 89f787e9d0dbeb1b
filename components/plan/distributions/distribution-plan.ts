/** What every distribution is planned as, and what its plan is made from. */
import type { Profile } from "../../inventory/types.ts";

/** A file that the apply script puts on the device, owned by root. */
export interface DeviceFile {
  /** Absolute path without blanks. */
  readonly path: string;
  /** Octal mode, e.g. `0600`. */
  readonly mode: string;
  /** Text, ending in a newline. */
  readonly content: string;
  /** True where a change takes effect without a restart of the service. */
  readonly live: boolean;
  /** True where the text holds a password or a token: it must reach neither a log nor a state in clear. */
  readonly secret?: boolean;
}

/** Everything that a distribution puts on a device, and how its health is asked for. */
export interface DistributionPlan {
  /** Release, e.g. `v1.36.2+k3s1`. */
  readonly version: string;
  /** Absolute path of the one binary. */
  readonly binary: string;
  /** Service, without `.service`. */
  readonly service: string;
  /** Path of the service's unit, or of its script where the device runs OpenRC; one of {@link files}. */
  readonly unit: string;
  /** Folder of the distribution's settings, searched for {@link foreignSetting}. */
  readonly configDirectory: string;
  /** A setting that marks an installation which edge-fleet must not take over. */
  readonly foreignSetting: string;
  /** The kubectl command on the device, with a bound on each request. */
  readonly kubectl: string;
  /** Deployments in kube-system that must be available before an apply counts as good. */
  readonly deployments: readonly string[];
  /** Labels of the node as `key=value`, sorted; reconciled after each apply. */
  readonly labels: readonly string[];
  /** Taints of the node as `key=value:effect`; reconciled after each apply. Default: none. */
  readonly taints?: readonly string[];
  /** Ids of the devices that join this one, sorted: the node of one that joins no more is deleted. Default: none. */
  readonly agents?: readonly string[];
  /** Files in the order in which they are put. */
  readonly files: readonly DeviceFile[];
  /** What works but is worth a person's look, each `<setting>: <what> - <fix>`. Default: none. */
  readonly warnings?: readonly string[];
}

/** What a plan is made from beside the profile. A device that joins nobody and has no secrets needs none of it. */
export interface RenderContext {
  /** The device that the profile joins. Its profile serves; what is absent of it is not checked. */
  readonly server?: Pick<Profile, "host"> & Partial<Profile>;
  /** True where other devices join this one. Default false. */
  readonly joined?: boolean;
  /** Ids of the devices that join this one, sorted. Default: none. */
  readonly agents?: readonly string[];
  /** Objects that the device's engine starts from. Default: none. */
  readonly entry?: readonly object[];
  /** URL of the fleet's repository, which a device with an agent reads for the hub's Applications. Default: none. */
  readonly gitUrl?: string;
  /** Secrets of the stack's configuration by key, see `secretKeys` in secrets.ts. Default: none. */
  readonly secrets?: Readonly<Record<string, string>>;
}
