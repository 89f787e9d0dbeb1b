/**
 * The part of the settings that says what runs on a device: the Kubernetes distribution, its release and components, and
 * the WASM runtimes.
 */
import { z } from "zod";
import { K0sSchema } from "../plan/distributions/k0s/schema.ts";
import { K3sSchema } from "../plan/distributions/k3s/schema.ts";
import { MicroK8sSchema } from "../plan/distributions/microk8s/schema.ts";

/** Settings of each distribution, by its name. */
const DISTRIBUTIONS = {
  k3s: K3sSchema,
  k0s: K0sSchema,
  microk8s: MicroK8sSchema,
};

/** Names of the distributions, the default one first. */
export const DISTRIBUTION_NAMES = Object.keys(DISTRIBUTIONS) as (keyof typeof DISTRIBUTIONS)[];

/** Fields that pin a release, e.g. `<distribution>.version`. */
export const RELEASE_FIELDS: readonly string[] = DISTRIBUTION_NAMES.map((name) => `${name}.version`);

/** WASM runtimes that edge-fleet can install as containerd shims. */
export const WasmRuntimeSchema = z.enum(["spin", "wasmtime", "wasmedge", "wasmer"]);

/** The fields that {@link SettingsSchema} takes from here. */
export const DistributionSettings = {
  distribution: z.enum(DISTRIBUTION_NAMES).default("k3s").describe("Kubernetes distribution"),
  replace: z
    .boolean()
    .default(false)
    .describe("Allows a change of distribution: the old cluster and its data are erased. With false it is refused"),
  ...DISTRIBUTIONS,
  kubelet: z
    .strictObject({ maxPods: z.int().min(5).max(250).default(30).describe("Most pods of the node") })
    .prefault({})
    .describe("Limits of the kubelet; reservations and evictions follow from the model's memory"),
  wasm: z
    .array(WasmRuntimeSchema)
    .default([])
    .describe("WASM runtimes, installed as containerd shims with their RuntimeClasses"),
};
