/** Settings of MicroK8s, with their defaults. */
import { z } from "zod";

/** The field `microk8s` of a layer. */
export const MicroK8sSchema = z
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
