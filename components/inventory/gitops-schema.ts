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

const fluxVersion = (name: string) =>
  z
    .string()
    .regex(/^v\d+\.\d+\.\d+$/, `is not a release of ${name} - write e.g. ${FLUX_RELEASE}`)
    .default(FLUX_RELEASE)
    .describe(`Release of ${name}; artifacts.lock.yaml pins its image and definitions`);

const FluxSchema = z
  .strictObject({
    sourceController: fluxVersion("source-controller"),
    kustomizeController: fluxVersion("kustomize-controller"),
    reconcileMinutes: reconcileMinutes.describe(
      "How long after one look at the Git branch, and at what runs, the next one comes; at random up to a quarter sooner or later, so that a fleet does not ask in step",
    ),
  })
  .prefault({})
  .describe("Flux on the device, with `engine: flux`");

/** Release of Sealed Secrets that is installed where none is asked for. */
const SEALED_SECRETS_RELEASE = "v0.40.0";

const SealedSecretsSchema = z
  .strictObject({
    version: z
      .string()
      .regex(/^v\d+\.\d+\.\d+$/, `is not a release of Sealed Secrets - write e.g. ${SEALED_SECRETS_RELEASE}`)
      .default(SEALED_SECRETS_RELEASE)
      .describe("Release of the controller; artifacts.lock.yaml pins its image and definition"),
  })
  .prefault({})
  .describe("Sealed Secrets on the device, with `secrets: sealed-secrets`");

/** `gitops` of every layer. */
export const GitopsSchema = z
  .strictObject({
    engine: z
      .enum(["argocd", "argocd-agent", "flux", "none"])
      .default("argocd")
      .describe(
        "What on the device pulls and heals. argocd: Argo CD's application-controller, repo-server and redis, installed by `up`. argocd-agent: the same and an agent, through which the hub steers it. flux: Flux' source-controller and kustomize-controller, installed by `up`, in half the memory. none: nothing pulls",
      ),
    argocd: ArgoCdSchema,
    flux: FluxSchema,
    agent: AgentSchema,
    access: GitAccessSchema.optional(),
    secrets: z
      .enum(["none", "sealed-secrets"])
      .default("none")
      .describe(
        "What opens Secrets that lie encrypted in Git. sealed-secrets: the Sealed Secrets controller, installed by `up` beside the engine, with the keys of the region's lock; `edge-fleet seal` encrypts for it. none: nothing does. It needs an engine",
      ),
    sealedSecrets: SealedSecretsSchema,
  })
  .prefault({})
  .describe("How the device gets its workloads");
