/** The hub of a fleet, `hub` of fleet.yaml: which Argo CD, how much of it, and who reaches what of it. */
import { z } from "zod";
import { ArgoCdVersionSchema } from "./gitops-schema.ts";

const SourceRangesSchema = z
  .array(z.union([z.cidrv4(), z.cidrv6()], "is not a range of addresses - write e.g. 10.0.0.0/8"))
  .default([]);
const AnnotationsSchema = z
  .record(z.string().min(1), z.string())
  .default({})
  .describe("Annotations of that Service, e.g. for the load balancer of a cloud");
const ServiceTypeSchema = z.enum(["LoadBalancer", "NodePort", "ClusterIP"]);

/** How the hub lets agents in: `hub.principal`. */
const PrincipalExposureSchema = z
  .strictObject({
    service: ServiceTypeSchema.default("LoadBalancer").describe(
      "Type of the Service of each region's principal. NodePort: `gitops.agent.port` is the nodes' port, and each region has its own. ClusterIP: something else, e.g. an ingress that passes TLS through, leads agents there",
    ),
    annotations: AnnotationsSchema,
    sourceRanges: SourceRangesSchema.describe("Addresses from which agents connect. Default: any"),
  })
  .prefault({})
  .describe("How agents reach the hub; used where a region has devices with `engine: argocd-agent`");

/** `hub` of fleet.yaml, where there is one. */
export const HubSchema = z.strictObject({
  stack: z.string().min(1).default("hub").describe("Stack that installs the hub"),
  argocd: z
    .strictObject({ version: ArgoCdVersionSchema.describe("Release of Argo CD") })
    .describe("Argo CD; the manifests of its release must be in artifacts.lock.yaml"),
  highAvailability: z
    .boolean()
    .default(false)
    .describe(
      "Two of each process that can be two, on different nodes (two are needed): repo-server, ApplicationSet controller (one leads). Redis is a cache and stays one; so does the principal, and agents dial again",
    ),
  principal: PrincipalExposureSchema,
});

/** The hub, complete. */
export type HubSettings = z.output<typeof HubSchema>;
