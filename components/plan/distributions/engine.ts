/** What stands against a device running the pull engine that it is to get. Pure. */
import { runsFlux } from "../../gitops/engine/flux/settings.ts";
import { pullRequestMiB, pullsByItself } from "../../gitops/engine/pulls.ts";
import { SECRETS_CONTROLLERS, secretsSourceOf } from "../../gitops/engine/secrets.ts";
import type { Profile } from "../../inventory/types.ts";
import { getsImageArchives } from "../engine-images.ts";
import type { Distribution } from "./distribution.ts";
import { error, type Finding, warning } from "./finding.ts";
import { MINIMUM_MEMORY_MIB, podMemoryMiB } from "./reservations.ts";

/** What CoreDNS requests and a first small workload needs, in MiB: with less, pods of the engine itself would not start. */
const LEAST_MIB = 128;

/** Registries of upstream's own images. */
const ARGO_CD_REGISTRIES = ["quay.io", "public.ecr.aws"];
const FLUX_REGISTRIES = ["ghcr.io"];

/** What stands against the engine of a profile. A model that is too small for a server is told of elsewhere. */
export function checkEngine(profile: Profile, distribution: Pick<Distribution, "images">): Finding[] {
  const { memoryMiB, model, gitops } = profile;
  if (!pullsByItself(profile) || memoryMiB < MINIMUM_MEMORY_MIB) return [];
  const source = secretsSourceOf(profile);
  const secrets = source === undefined ? undefined : SECRETS_CONTROLLERS[source];
  const flux = runsFlux(profile);
  const engine = pullRequestMiB(gitops.engine, memoryMiB) + (secrets?.memory.requestMiB ?? 0);
  const pods = podMemoryMiB(memoryMiB);
  const puller = flux ? "Flux" : "Argo CD";
  const name = secrets === undefined ? puller : `${puller} and ${secrets.title}`;
  if (pods - engine < LEAST_MIB)
    return [
      error(
        "gitops.engine",
        `${name} ${secrets === undefined ? "requests" : "request"} ${engine} of the ${pods} MiB that model ${model} leaves for pods - use a model with more memory${flux ? "" : ", flux"}, or none`,
      ),
    ];
  const registries = flux ? FLUX_REGISTRIES : ARGO_CD_REGISTRIES;
  const needed = [...new Set([...registries, ...(secrets === undefined ? [] : [secrets.registry])])];
  return getsImageArchives(profile, distribution) ? [] : checkImages(profile, distribution, name, needed);
}

function checkImages(
  { artifacts, registries }: Profile,
  { images }: Pick<Distribution, "images">,
  of: string,
  needed: readonly string[],
): Finding[] {
  const missing = needed.filter((host) => !(host in registries) && !("*" in registries));
  if (!artifacts.images || missing.length === 0) return [];
  const fix = images === undefined ? "" : "set artifacts.mirror, whose archives bring them, or ";
  return [
    warning(
      "artifacts.images",
      `the archive does not hold the images of ${of}, which come from ${missing.join(" and ")} - ${fix}name a mirror of them in registries where the device does not reach them`,
    ),
  ];
}
