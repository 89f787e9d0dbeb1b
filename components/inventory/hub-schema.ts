/** The hub of a fleet, `hub` of fleet.yaml: which Argo CD, how much of it, and who reaches what of it. */
import { z } from "zod";
import { ArgoCdVersionSchema } from "./gitops-schema.ts";

const DOMAIN_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const CERTIFICATES = /^(-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n?)+$/;
/** An https URL without a path or an end; `{region}` may be part of its host. */
const SERVER_URL = /^https:\/\/[a-z0-9{}.-]+(:[0-9]+)?$/;

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

const SsoSchema = z
  .strictObject({
    issuer: z
      .url({ protocol: /^https$/, error: "is not an https URL - write e.g. https://id.example.com/realms/acme" })
      .describe("Issuer of the OpenID Connect provider, as its tokens name it"),
    clientId: z
      .string()
      .min(1)
      .describe(
        "Client of Argo CD there; its secret is `ssoClientSecret` of the hub's stack, its redirect URL `<url>/auth/callback`",
      ),
    name: z.string().min(1).default("SSO").describe("What the button of the log-in says"),
    scopes: z
      .array(z.string().min(1))
      .min(1)
      .default(["openid", "profile", "email", "groups"])
      .describe("Scopes that are asked for. Some providers have no `groups`, and refuse it"),
    groupsClaim: z.string().min(1).default("groups").describe("Claim of the token that holds the groups"),
    groups: z
      .record(
        z.string().regex(/^[^\n\r"]+$/, "is not the name of a group - write it as the token has it"),
        z.enum(["readonly", "admin"]),
      )
      .refine((groups) => Object.keys(groups).length > 0, "names no group - write one: who is in none sees nothing")
      .describe("Roles of Argo CD by group. Who is in none of them logs in and sees nothing"),
    ca: z
      .string()
      .regex(CERTIFICATES, "is not a PEM certificate - write it as a block (`ca: |`)")
      .optional()
      .describe("Certificates of the private authorities that the provider's is of. Default: those of the image"),
  })
  .describe("The one way to log in: there is no admin, and nobody is let in without a name");

const ServerSchema = z
  .strictObject({
    url: z
      .string()
      .regex(SERVER_URL, "is not an https URL without a path - write e.g. https://argocd-{region}.example.com")
      .describe("Where people reach it. `{region}` becomes the region's name, and is needed with several regions"),
    sso: SsoSchema,
    service: ServiceTypeSchema.default("ClusterIP").describe(
      "Type of its Service. ClusterIP: an ingress of yours leads there",
    ),
    annotations: AnnotationsSchema,
    sourceRanges: SourceRangesSchema.describe("Addresses from which people connect. Default: any"),
  })
  .optional()
  .describe(
    "Argo CD's server for each region: its web page and API. Its certificate is `serverTlsCertificate` and `serverTlsKey` of the hub's stack; without them that of a Secret `argocd-server-tls` (e.g. cert-manager's), else one that it signs itself. Default: none",
  );

const MetricsSchema = z
  .strictObject({
    namespace: z
      .string()
      .max(63)
      .regex(DOMAIN_NAME, "is not the name of a namespace - write e.g. monitoring")
      .describe("Namespace of the Prometheus that scrapes: nobody else is let to the metrics"),
    operator: z
      .boolean()
      .default(false)
      .describe("Also a ServiceMonitor and a PrometheusRule, for the Prometheus operator, which must be there"),
  })
  .optional()
  .describe(
    "Metrics of each control plane, and a ConfigMap `edge-fleet-metrics` in its namespace with `scrape.yaml` and `alerts.yaml` for a Prometheus. Default: none",
  );

/** `hub` of fleet.yaml, where there is one. */
export const HubSchema = z.strictObject({
  stack: z.string().min(1).default("hub").describe("Stack that installs the hub"),
  argocd: z
    .strictObject({ version: ArgoCdVersionSchema.describe("Release of Argo CD") })
    .describe("Argo CD; the manifests of its release must be in artifacts.lock.yaml"),
  definitions: z
    .enum(["install", "adopt"])
    .default("install")
    .describe(
      "Argo CD's definitions, which all of a cluster share. install: the hub's stack makes and upgrades them. adopt: those of another Argo CD of the cluster are used; they must have all fields of the locked release's. Write it before the hub's first run",
    ),
  highAvailability: z
    .boolean()
    .default(false)
    .describe(
      "Two of each process that can be two, on different nodes (two are needed): repo-server, ApplicationSet controller (one leads), server. Redis is a cache and stays one; so does the principal, and agents dial again",
    ),
  server: ServerSchema,
  metrics: MetricsSchema,
  principal: PrincipalExposureSchema,
});

/** The hub, complete. */
export type HubSettings = z.output<typeof HubSchema>;
