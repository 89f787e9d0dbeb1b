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
      .optional()
      .describe("Packaged components to leave out. Default traefik, servicelb, metrics-server: they cost memory"),
    flannelBackend: z
      .enum(["host-gw", "vxlan", "wireguard-native", "none"])
      .optional()
      .describe("Default: after network.shape. On a single node host-gw carries no traffic and needs no kernel module"),
    ownCni: z
      .boolean()
      .optional()
      .describe(
        "The device's image brings a CNI, e.g. as a manifest that K3s applies at its start; only with flannelBackend none, which is refused without. K3s' network policy controller is off then, as upstream advises. Default false",
      ),
    clusterCidr: CidrSchema.optional().describe("Pod network. Fixed at first start. Default 10.42.0.0/16"),
    serviceCidr: CidrSchema.optional().describe("Service network. Fixed at first start. Default 10.43.0.0/16"),
  })
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
      .optional()
      .describe("Components to leave out. Default metrics-server, autopilot, helm: they cost memory"),
    podCidr: CidrSchema.optional().describe("Pod network. Fixed at first start. Default 10.244.0.0/16"),
    serviceCidr: CidrSchema.optional().describe("Service network. Fixed at first start. Default 10.96.0.0/12"),
  })
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
      .optional()
      .describe("Add-ons of the launch configuration. Default dns, rbac"),
  })
  .describe("MicroK8s from a held snap, with the dqlite datastore. Not for devices under 4 GiB");

/** WASM runtimes that edge-fleet can install as containerd shims. */
export const WasmRuntimeSchema = z.enum(["spin", "wasmtime", "wasmedge", "wasmer"]);

/** The fields that {@link SettingsSchema} takes from here. */
export const DistributionSettings = {
  distribution: z.enum(["k3s", "k0s", "microk8s"]).optional().describe("Kubernetes distribution. Default k3s"),
  replace: z
    .boolean()
    .optional()
    .describe(
      "Allows a change of distribution: the old cluster and its data are erased. Default false: the change is refused",
    ),
  k3s: K3sSchema.optional(),
  k0s: K0sSchema.optional(),
  microk8s: MicroK8sSchema.optional(),
  kubelet: z
    .strictObject({ maxPods: z.int().min(5).max(250).optional().describe("Most pods of the node. Default 30") })
    .optional()
    .describe("Limits of the kubelet; reservations and evictions follow from the model's memory"),
  wasm: z
    .array(WasmRuntimeSchema)
    .optional()
    .describe("WASM runtimes, installed as containerd shims with their RuntimeClasses. Default none"),
};
