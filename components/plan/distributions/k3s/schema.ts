/** Settings of K3s, with their defaults. */
import { z } from "zod";
import { CidrSchema } from "../schema.ts";

/** The field `k3s` of a layer. */
export const K3sSchema = z
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
