/** Whether a device can run its pull engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Profile } from "../../../components/inventory/types.ts";
import { checkDistribution } from "../../../components/plan/distributions/index.ts";
import { ARTIFACTS, buildProfile, gitopsOf } from "./profile.ts";

const MIRROR = { endpoints: ["https://mirror.example.com"], username: undefined, passwordSecret: undefined };

function findings(changes: Partial<Profile>): string[] {
  return checkDistribution(buildProfile({ gitops: gitopsOf("argocd"), ...changes })).flatMap(
    ({ severity, setting, message }) =>
      /Argo CD|Flux/.test(message) ? [`${severity} ${setting.join(".")}: ${message}`] : [],
  );
}

for (const [what, changes, expected] of [
  ["4 GiB", {}, []],
  ["2 GiB", { memoryMiB: 2048 }, []],
  [
    "1 GiB",
    { memoryMiB: 1024 },
    [
      "error gitops.engine: Argo CD requests 304 of the 324 MiB that model nuc-4g leaves for pods - use a model with more memory, flux, or none",
    ],
  ],
  ["1 GiB with Flux", { memoryMiB: 1024, gitops: gitopsOf("flux") }, []],
  [
    "an archive of images for Flux, and no mirror",
    { artifacts: { ...ARTIFACTS, images: true }, gitops: gitopsOf("flux") },
    [
      "warning artifacts.images: the archive does not hold the images of Flux, which come from ghcr.io - set artifacts.mirror, whose archives bring them, or name a mirror of them in registries where the device does not reach them",
    ],
  ],
  ["1 GiB without an engine", { memoryMiB: 1024, gitops: gitopsOf("none") }, []],
  ["1 GiB, of another one's cluster", { memoryMiB: 1024, joins: "tokyo-1" }, []],
  ["less than a server needs, which is told once", { memoryMiB: 512 }, []],
  [
    "an archive of images, and no mirror",
    { artifacts: { ...ARTIFACTS, images: true } },
    [
      "warning artifacts.images: the archive does not hold the images of Argo CD, which come from quay.io and public.ecr.aws - set artifacts.mirror, whose archives bring them, or name a mirror of them in registries where the device does not reach them",
    ],
  ],
  [
    "an archive of images for MicroK8s, which imports none",
    { distribution: "microk8s", artifacts: { ...ARTIFACTS, images: true, mirror: "https://mirror.example.com" } },
    [
      "warning artifacts.images: the archive does not hold the images of Argo CD, which come from quay.io and public.ecr.aws - name a mirror of them in registries where the device does not reach them",
    ],
  ],
  [
    "an archive of images, and a mirror that has those of the engine",
    { artifacts: { ...ARTIFACTS, images: true, mirror: "https://mirror.example.com" } },
    [],
  ],
  [
    "an archive, and a mirror of one registry",
    { artifacts: { ...ARTIFACTS, images: true }, registries: { "quay.io": MIRROR } },
    [
      "warning artifacts.images: the archive does not hold the images of Argo CD, which come from public.ecr.aws - set artifacts.mirror, whose archives bring them, or name a mirror of them in registries where the device does not reach them",
    ],
  ],
  ["an archive, and a mirror of all", { artifacts: { ...ARTIFACTS, images: true }, registries: { "*": MIRROR } }, []],
] satisfies [string, Partial<Profile>, string[]][]) {
  test(`${what}: ${expected.length} finding(s)`, () => assert.deepEqual(findings(changes), expected));
}
