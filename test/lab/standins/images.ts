/**
 * What the pods of a lab device are run from: a folder with the K3s stand-in and the programs of the images, and the
 * table by which a device knows an image. A STAND-IN for a registry: an image is a repository, whatever its tag and
 * digest; its programs are the toolchain's, its other files are the device's.
 */
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cached, cacheRoot } from "../toolchain/cache.ts";
import { argocdManifests, type PartName, type Toolchain } from "../toolchain/index.ts";

/** Where a device has what {@link deviceBinaries} makes; the K3s stand-in lies in it under its own name. */
export const BINARIES_PATH = "/opt/edge-fleet-lab";
/** Where a device's table of images is. */
export const IMAGES_PATH = "/etc/edge-fleet-lab/images.json";
/** Parts of the toolchain that pods are run from. */
export const POD_PARTS: readonly PartName[] = ["k3s-apiserver", "argocd", "miniredis", "kustomize"];

/** Names under which Argo CD's one executable is each of its components. Dockerfile of argoproj/argo-cd v3.2.0 */
const COMPONENTS = [
  ...["argocd-server", "argocd-repo-server", "argocd-cmp-server", "argocd-application-controller", "argocd-dex"],
  ...["argocd-notifications", "argocd-applicationset-controller", "argocd-k8s-auth", "argocd-commit-server"],
];

/** An image of the table. */
export interface LabImage {
  /** Folder of its programs; absent: a container of it is only called running. */
  readonly root?: string;
  readonly entrypoint?: readonly string[];
  readonly user?: string;
  readonly workingDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** `uid gid mode path` */
  readonly folders?: readonly string[];
  readonly links?: Readonly<Record<string, string>>;
  readonly passwd?: readonly string[];
}

/** Dockerfile of argoproj/argo-cd v3.2.0. Its entry point, tini, only starts its arguments and is left out. */
const ARGO_CD: LabImage = {
  root: `${BINARIES_PATH}/images/argocd`,
  user: "999",
  workingDir: "/home/argocd",
  env: { USER: "argocd", ARGOCD_USER_ID: "999", HOME: "/home/argocd" },
  folders: [
    ...["999 0 0775 /home/argocd", "0 0 0755 /app/config/ssh", "0 0 0755 /app/config/tls"],
    ...["0 0 0755 /app/config/gpg/source", "999 0 0700 /app/config/gpg/keys"],
  ],
  links: { "/etc/ssh/ssh_known_hosts": "/app/config/ssh/ssh_known_hosts" },
  passwd: ["argocd:x:999:999::/home/argocd:/bin/sh"],
};

/** docker-library/redis 8.2 alpine: its entry point puts `redis-server` before arguments that are flags. */
const REDIS: LabImage = {
  root: `${BINARIES_PATH}/images/redis`,
  entrypoint: ["docker-entrypoint.sh"],
  workingDir: "/data",
  folders: ["999 1000 0755 /data"],
  passwd: ["redis:x:999:1000::/home/redis:/bin/sh"],
};

/** docker/controller.Dockerfile of bitnami/sealed-secrets v0.40.0. */
const SEALED_SECRETS: LabImage = {
  root: `${BINARIES_PATH}/images/sealed-secrets`,
  entrypoint: ["controller"],
  user: "1001",
};

/** Dockerfiles of fluxcd/source-controller and fluxcd/kustomize-controller v1.9.1. */
const FLUX = (name: string): LabImage => ({
  root: `${BINARIES_PATH}/images/${name}`,
  entrypoint: [name],
  user: "65534",
});

/** Not anybody's image: the device's own programs, for pods of tests. */
const SHELL: LabImage = { root: `${BINARIES_PATH}/images/shell` };

/** Images of one program by the toolchain's part: their folder, and the program's name. */
const CONTROLLERS: Readonly<Record<string, readonly [image: string, program: string]>> = {
  "sealed-secrets-controller": ["sealed-secrets", "controller"],
  "source-controller": ["source-controller", "source-controller"],
  "kustomize-controller": ["kustomize-controller", "kustomize-controller"],
};

/** The images that a device can pull, by repository; those without programs are only called running. */
export const IMAGES: Readonly<Record<string, LabImage>> = {
  "quay.io/argoproj/argocd": ARGO_CD,
  "docker.io/library/redis": REDIS,
  redis: REDIS,
  "public.ecr.aws/docker/library/redis": REDIS,
  "docker.io/bitnami/sealed-secrets-controller": SEALED_SECRETS,
  "ghcr.io/fluxcd/source-controller": FLUX("source-controller"),
  "ghcr.io/fluxcd/kustomize-controller": FLUX("kustomize-controller"),
  "lab.invalid/shell": SHELL,
  "stand-in.invalid/coredns": {},
  "registry.k8s.io/pause": {},
};

const DOCKER_ENTRYPOINT = `#!/bin/sh
# STAND-IN for docker-entrypoint.sh of docker-library/redis 8.2: without its change of user, which needs root.
set -e
case \${1-} in -* | '') set -- redis-server "$@" ;; esac
exec "$@"
`;

/**
 * The folder of a toolchain's programs for devices, made once, of links to the toolchain's own.
 * @param toolchain with {@link POD_PARTS}, and where a device has Sealed Secrets or Flux with their controllers
 */
export async function deviceBinaries(toolchain: Toolchain): Promise<string> {
  const path = (name: PartName) => {
    const part = toolchain.parts.find((candidate) => candidate.name === name);
    if (part === undefined) throw new Error(`the toolchain has no part ${name} - pass it to ensureToolchain`);
    return part.path;
  };
  const controllers = toolchain.parts.filter(({ name }) => Object.hasOwn(CONTROLLERS, name));
  const parts = [...POD_PARTS.map(path), ...controllers.map((controller) => controller.path)];
  const scripts = join((await argocdManifests()).directory, "..");
  const recipe = JSON.stringify([parts, COMPONENTS, DOCKER_ENTRYPOINT, scripts, SHELL]);
  const key = createHash("sha256").update(recipe).digest("hex").slice(0, 16);
  return cached(
    cacheRoot(),
    `device-${key}`,
    async (folder) => {
      const [argocd, redis, shell] = ["argocd", "redis", "shell"].map((name) => join(folder, "images", name)) as [
        string,
        string,
        string,
      ];
      for (const made of [argocd, redis, shell]) mkdirSync(made, { recursive: true });
      put(path("k3s-apiserver"), join(folder, "k3s-apiserver"));
      put(path("argocd"), join(argocd, "argocd"));
      put(path("kustomize"), join(argocd, "kustomize"));
      for (const name of COMPONENTS) symlinkSync("argocd", join(argocd, name));
      for (const name of ["gpg-wrapper.sh", "git-verify-wrapper.sh"])
        script(scripts, `hack/${name}`, join(argocd, name));
      script(scripts, "entrypoint.sh", join(argocd, "entrypoint.sh"));
      for (const { name, path } of controllers) {
        const [image, program] = CONTROLLERS[name] ?? [name, name];
        mkdirSync(join(folder, "images", image));
        put(path, join(folder, "images", image, program));
      }
      put(path("miniredis"), join(redis, "redis-server"));
      writeFileSync(join(redis, "docker-entrypoint.sh"), DOCKER_ENTRYPOINT, { mode: 0o755 });
    },
    () => undefined,
  );
}

/** A link where the two lie on one file system, else a copy. */
function put(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
    chmodSync(to, 0o755);
  }
}

function script(root: string, name: string, to: string): void {
  copyFileSync(join(root, name), to);
  chmodSync(to, 0o755);
}
