/**
 * Redis: what the two others have computed, in memory alone. It may forget everything at any time; the checkouts on the disk
 * are what a device heals from.
 */
import type { types } from "@pulumi/kubernetes";
import { deployment, podTemplate, REDIS_PASSWORD } from "./object.ts";
import { type EngineSettings, engineSize } from "./settings.ts";

const NAME = "argocd-redis";

/** Share of the limit that values may take; the rest is Redis itself and its buffers. */
const VALUES_SHARE = 0.6;

/** Redis' workload. */
export function redis({ images, memoryMiB }: EngineSettings): types.input.apps.v1.Deployment {
  const { redis: memory } = engineSize(memoryMiB);
  const container = {
    name: "redis",
    image: images.redis,
    args: [
      ...["--save", "", "--appendonly", "no"],
      ...["--maxmemory", `${Math.floor(memory.limitMiB * VALUES_SHARE)}mb`, "--maxmemory-policy", "allkeys-lru"],
      "--requirepass $(REDIS_PASSWORD)",
    ],
    env: [REDIS_PASSWORD],
    ports: [{ containerPort: 6379 }],
    memory,
    cpuMilli: 10,
  };
  return deployment(NAME, podTemplate(NAME, container, []));
}
