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
  /** Context of the kubeconfig that installs the hub, or undefined for its current one. */
  readonly context: string | undefined;
  /** Counts the tokens of regions' accounts on the hub, by region: another number is another token. */
  readonly tokenGenerations: Readonly<Record<string, number>>;
  /** Wait until the hub's control planes run. */
  readonly awaitReady: boolean;
}

/** Reads the configuration of the running stack. */
export function readSettings(): StackSettings {
  const config = new pulumi.Config("edge-fleet");
  return {
    inventory: resolve(config.get("inventory") ?? "stacks"),
    tree: resolve(config.get("tree") ?? "fleet"),
    context: config.get("context") || undefined,
    tokenGenerations: config.getObject<Record<string, number>>("tokenGenerations") ?? {},
    awaitReady: config.getBoolean("awaitReady") ?? true,
  };
}
