/** Settings of K0s, with their defaults. */
import { z } from "zod";
import { CidrSchema } from "../schema.ts";

/** The field `k0s` of a layer. */
export const K0sSchema = z
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
