/**
 * The part of the settings that says what runs on a device: the Kubernetes distribution, its release and components, and
 * the WASM runtimes.
 */
import { z } from "zod";

const CidrSchema = z.cidrv4({ error: "is not an IPv4 network - write e.g. 10.42.0.0/16" });

const K3sSchema = z
  .strictObject({
    version: z
      .string()
      .regex(/^v\d+\.\d+\.\d+\+k3s\d+$/, "is not a K3s release - write e.g. v1.36.2+k3s1")
      .optional()
      .describe("Pinned release; its artifacts must be in artifacts.lock.yaml"),
    disable: z
      .array(z.enum(["coredns", "traefik", "servicelb", "metrics-server", "local-storage", "runtimes"]))
      .default(["traefik", "servicelb", "metrics-server"])
      .describe("Packaged components to leave out: these cost memory"),
    flannelBackend: z
      .enum(["host-gw", "vxlan", "wireguard-native", "none"])
      .optional()
      .describe("Default: after network.shape. On a single node host-gw carries no traffic and needs no kernel module"),
    ownCni: z
      .boolean()
      .default(false)
      .describe(
        "The device's image brings a CNI, e.g. as a manifest that K3s applies at its start; only with flannelBackend none, which is refused without. K3s' network policy controller is off then, as upstream advises",
      ),
    clusterCidr: CidrSchema.default("10.42.0.0/16").describe("Pod network. Fixed at first start"),
    serviceCidr: CidrSchema.default("10.43.0.0/16").describe("Service network. Fixed at first start"),
  })
  .prefault({})
  .describe("K3s with the embedded SQLite datastore");

const K0sSchema = z
  .strictObject({
    version: z
      .string()
      .regex(/^v\d+\.\d+\.\d+\+k0s\.\d+$/, "is not a K0s release - write e.g. v1.36.3+k0s.2")
      .optional()
      .describe("Pinned release; its artifacts must be in artifacts.lock.yaml"),
    disable: z
      .array(z.enum(["coredns", "metrics-server", "konnectivity-server", "autopilot", "helm"]))
      .default(["metrics-server", "autopilot", "helm"])
      .describe("Components to leave out: these cost memory"),
    podCidr: CidrSchema.default("10.244.0.0/16").describe("Pod network. Fixed at first start"),
    serviceCidr: CidrSchema.default("10.96.0.0/12").describe("Service network. Fixed at first start"),
  })
  .prefault({})
  .describe("K0s as a single node with the SQLite datastore of kine");

const MicroK8sSchema = z
  .strictObject({
    version: z
      .string()
      .regex(/^v\d+\.\d+\.\d+$/, "is not a MicroK8s release - write e.g. v1.36.2")
      .optional()
      .describe("Pinned release; the snap's exact revision is in artifacts.lock.yaml"),
    addons: z
      .array(z.enum(["dns", "rbac", "hostpath-storage"]))
      .default(["dns", "rbac"])
      .describe("Add-ons of the launch configuration"),
  })
  .prefault({})
  .describe("MicroK8s from a held snap, with the dqlite datastore. Not for devices under 4 GiB");

/** WASM runtimes that edge-fleet can install as containerd shims. */
export const WasmRuntimeSchema = z.enum(["spin", "wasmtime", "wasmedge", "wasmer"]);

/** The fields that {@link SettingsSchema} takes from here. */
export const DistributionSettings = {
  distribution: z.enum(["k3s", "k0s", "microk8s"]).default("k3s").describe("Kubernetes distribution"),
  replace: z
    .boolean()
    .default(false)
    .describe("Allows a change of distribution: the old cluster and its data are erased. With false it is refused"),
  k3s: K3sSchema,
  k0s: K0sSchema,
  microk8s: MicroK8sSchema,
  kubelet: z
    .strictObject({ maxPods: z.int().min(5).max(250).default(30).describe("Most pods of the node") })
    .prefault({})
    .describe("Limits of the kubelet; reservations and evictions follow from the model's memory"),
  wasm: z
    .array(WasmRuntimeSchema)
    .default([])
    .describe("WASM runtimes, installed as containerd shims with their RuntimeClasses"),
};
