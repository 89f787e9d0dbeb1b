/** How a device gets its workloads: the part of the settings that chooses its pull engine and sets it up. */
import { z } from "zod";
import { AgentSchema } from "./agent-schema.ts";
import { GitAccessSchema } from "./git-schema.ts";

/** Release of Argo CD that is written where none is asked for, on the hub and on devices. */
export const ARGO_CD_RELEASE = "v3.2.11";

/** A release of Argo CD: the name of its Git tag. */
export const ArgoCdVersionSchema = z
  .string()
  .regex(/^v\d+\.\d+\.\d+$/, `is not a release of Argo CD - write e.g. ${ARGO_CD_RELEASE}`);

const reconcileMinutes = z.int().min(1).max(1440).default(10);

const ArgoCdSchema = z
  .strictObject({
    version: ArgoCdVersionSchema.default(ARGO_CD_RELEASE).describe(
      "Release on the device; artifacts.lock.yaml pins its images and definitions",
    ),
    reconcileMinutes: reconcileMinutes.describe(
      "How long after one look at the Git branch the next one comes, at the earliest; at random up to one and a half times as long after, so that a fleet does not ask in step",
    ),
  })
  .prefault({})
  .describe("Argo CD on the device, with `engine: argocd`");

/** Release of Flux' controllers that is installed where none is asked for: those of Flux v2.9.0 (manifests/bases of flux2). */
const FLUX_RELEASE = "v1.9.1";

/** A release of a controller. @param release where none is asked for */
const controllerVersion = (name: string, release: string) =>
  z
    .string()
    .regex(/^v\d+\.\d+\.\d+$/, `is not a release of ${name} - write e.g. ${release}`)
    .default(release)
    .describe(`Release of ${name}; artifacts.lock.yaml pins its image and definitions`);

const FluxSchema = z
  .strictObject({
    sourceController: controllerVersion("source-controller", FLUX_RELEASE),
    kustomizeController: controllerVersion("kustomize-controller", FLUX_RELEASE),
    reconcileMinutes: reconcileMinutes.describe(
      "How long after one look at the Git branch, and at what runs, the next one comes; at random up to a quarter sooner or later, so that a fleet does not ask in step",
    ),
  })
  .prefault({})
  .describe("Flux on the device, with `engine: flux`");

const SealedSecretsSchema = z
  .strictObject({ version: controllerVersion("Sealed Secrets", "v0.40.0") })
  .prefault({})
  .describe("Sealed Secrets on the device, with `secrets: sealed-secrets`");

const ExternalSecretsSchema = z
  .strictObject({ version: controllerVersion("External Secrets", "v2.9.0") })
  .prefault({})
  .describe("External Secrets on the device, with `secrets: external-secrets`");

/** `gitops` of every layer. */
export const GitopsSchema = z
  .strictObject({
    engine: z
      .enum(["argocd", "argocd-agent", "flux", "none"])
      .default("argocd")
      .describe(
        "What on the device pulls and heals. argocd: Argo CD's application-controller, repo-server and redis, installed by `up`. argocd-agent: the same and an agent, through which the hub steers it. flux: Flux' source-controller and kustomize-controller, installed by `up`, in half the memory. none: nothing pulls. Where no layer names one, models of 4 GiB and more have argocd-agent once `gitops.agent.address` says where their principal is, in a fleet with a hub",
      ),
    argocd: ArgoCdSchema,
    flux: FluxSchema,
    agent: AgentSchema,
    access: GitAccessSchema.optional(),
    secrets: z
      .enum(["none", "sealed-secrets", "external-secrets"])
      .default("none")
      .describe(
        "What brings Secrets. sealed-secrets: the Sealed Secrets controller, installed by `up` beside the engine, with the keys of the region's lock, opens those that lie encrypted in Git; `edge-fleet seal` encrypts for it. external-secrets: the External Secrets controller, installed the same way, takes them from a store that the device reaches. none: nothing does. It needs an engine",
      ),
    sealedSecrets: SealedSecretsSchema,
    externalSecrets: ExternalSecretsSchema,
  })
  .prefault({})
  .describe("How the device gets its workloads");
