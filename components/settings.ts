/**
 * The stack configuration (`edge-fleet:*`, schema in Pulumi.yaml) as one typed object.
 */
import { resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";

/** Configuration of a hub or region stack. */
export interface StackSettings {
  /** Folder of the inventory, absolute. */
  readonly inventory: string;
  /** Folder of the GitOps tree, absolute. */
  readonly tree: string;
  /** Probe devices before registering them. */
  readonly probe: boolean;
  /** Applied devices that may leave the inventory beyond `guard.maxRemovals`. */
  readonly allowRemovals: number;
  /** Path of the hub's kubeconfig, or undefined for the environment's. */
  readonly kubeconfig: string | undefined;
  /** Wait until the hub's control planes run. */
  readonly awaitReady: boolean;
}

/** Reads the configuration of the running stack. */
export function readSettings(): StackSettings {
  const config = new pulumi.Config("edge-fleet");
  const probe = config.get("probe") ?? "auto";
  if (probe !== "auto" && probe !== "off") {
    throw new pulumi.RunError(`edge-fleet:probe is ${probe} - use auto or off`);
  }
  return {
    inventory: resolve(config.get("inventory") ?? "stacks"),
    tree: resolve(config.get("tree") ?? "fleet"),
    probe: probe === "auto",
    allowRemovals: config.getNumber("allowRemovals") ?? 0,
    kubeconfig: config.get("kubeconfig") || undefined,
    awaitReady: config.getBoolean("awaitReady") ?? true,
  };
}
