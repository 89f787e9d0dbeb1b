/**
 * The stack configuration (`edge-fleet:*`, schema in Pulumi.yaml) as one typed object.
 */
import * as pulumi from "@pulumi/pulumi";

/** Configuration of a hub or region stack. */
export interface StackSettings {
  /** Folder of the inventory, as it is written: messages name files in it. */
  readonly inventory: string;
  /** Folder of the GitOps tree. */
  readonly tree: string;
  /** Context of the kubeconfig that installs the hub, or undefined for its current one. */
  readonly context: string | undefined;
  /** Counts the tokens of regions' accounts on the hub, by region: another number is another token. */
  readonly tokenGenerations: Readonly<Record<string, number>>;
  /** Wait until what runs on the hub runs: control planes, and the Applications of regions with agents. */
  readonly awaitReady: boolean;
}

/** Reads the configuration of the running stack. */
export function readSettings(): StackSettings {
  const config = new pulumi.Config("edge-fleet");
  return {
    inventory: config.get("inventory") || "stacks",
    tree: config.get("tree") || "fleet",
    context: config.get("context") || undefined,
    tokenGenerations: config.getObject<Record<string, number>>("tokenGenerations") ?? {},
    awaitReady: config.getBoolean("awaitReady") ?? true,
  };
}
