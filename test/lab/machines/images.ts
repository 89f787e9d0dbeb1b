/**
 * Images for machines that run real pods, made of the toolchain's programs and the host's: the engine's as a registry has
 * them, and those of the cluster itself as an archive in the layout of OCI. A STAND-IN for images that others publish: an
 * image has the entry point, the user, the folders and the names of the real one, and of its file system what the lab's
 * pods use.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { IMAGES, type LabImage } from "../standins/images.ts";
import { sha256 } from "../standins/locked.ts";
import { findOnPath } from "../toolchain/build.ts";

/** An image that is to be made. */
interface ImageRequest {
  /** Repositories and tags under which it is known. */
  readonly names: readonly string[];
  readonly image: LabImage;
  /** Programs of the host, by name. */
  readonly commands: readonly string[];
  /** Folder of the image's own programs, which become /usr/local/bin. */
  readonly programs?: string;
  /** Default: none. */
  readonly command?: readonly string[];
  /** Part of an index that names an architecture too which is not there. Default: it has none. */
  readonly indexed?: true;
}

/** Where Git has the programs that it calls itself. */
const GIT_CORE = "/usr/lib/git-core";

const SHELL_COMMANDS = ["sh", "sleep", "cat", "id"];
const ARGO_CD_COMMANDS = [
  ...SHELL_COMMANDS,
  "bash",
  "timeout",
  "chmod",
  "rm",
  "find",
  "git",
  `${GIT_CORE}/git-remote-https`,
  "uname",
];

/** What {@link writeImages} has made. */
export interface LabImages {
  /** References by digest. */
  readonly argocd: string;
  readonly redis: string;
  readonly shell: string;
  /** Content of a digest. */
  readonly blob: (digest: string) => Buffer | undefined;
}

/** The names by which the K3s stand-in asks for what holds a pod, and for CoreDNS. toolchain/hub-apiserver/k3s */
const OWN_NAMES = ["docker.io/rancher/mirrored-pause:3.6", "stand-in.invalid/coredns:latest"];

/**
 * Makes the images, and writes the archive.
 * @param binaries what `deviceBinaries` has made
 * @param folder an empty one, for the images' parts
 * @param archive path of the archive
 * @param registry host and port of the engine's images
 */
export function writeImages(binaries: string, folder: string, archive: string, registry: string): LabImages {
  const imageOf = (repository: string): LabImage => {
    const image = IMAGES[repository];
    if (image === undefined) throw new Error(`the lab has no image ${repository}`);
    return image;
  };
  mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
  const argocd = makeImage(folder, {
    names: [`${registry}/argoproj/argocd:lab`],
    image: imageOf("quay.io/argoproj/argocd"),
    commands: ARGO_CD_COMMANDS,
    programs: join(binaries, "images/argocd"),
    indexed: true,
  });
  const redis = makeImage(folder, {
    names: [`${registry}/docker/library/redis:lab`],
    image: imageOf("docker.io/library/redis"),
    commands: ["sh"],
    programs: join(binaries, "images/redis"),
    indexed: true,
  });
  const shell = makeImage(folder, {
    names: ["lab.invalid/shell:1", ...OWN_NAMES],
    image: imageOf("lab.invalid/shell"),
    commands: SHELL_COMMANDS,
    command: ["sh", "-c", "trap exit TERM; sleep 2147483647 & wait"],
  });
  const manifests = shell.names.map((name) => ({
    ...shell.descriptor,
    annotations: { "io.containerd.image.name": name },
  }));
  writeFileSync(join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  writeFileSync(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const own = shell.blobs.map(({ digest }) => `blobs/sha256/${hashOf(digest)}`);
  execFileSync("tar", ["-C", folder, "-cf", archive, "oci-layout", "index.json", ...own]);
  const blob = (digest: string) => {
    const path = join(folder, "blobs/sha256", hashOf(digest));
    return existsSync(path) ? readFileSync(path) : undefined;
  };
  return { argocd: argocd.reference, redis: redis.reference, shell: shell.reference, blob };
}

function hashOf(digest: string): string {
  return digest.replace("sha256:", "");
}

const ARCHITECTURE = process.arch === "arm64" ? "arm64" : "amd64";
const OCI = "application/vnd.oci.image";
const MANIFEST = `${OCI}.manifest.v1+json`;

function makeImage(folder: string, { names, image, commands, programs, command, indexed }: ImageRequest) {
  const layer = blobOf(folder, makeLayer(folder, image, commands, programs));
  const config = writeBlob(folder, {
    architecture: ARCHITECTURE,
    os: "linux",
    config: {
      Env: Object.entries({ PATH: "/usr/local/bin:/usr/bin:/bin", ...image.env }).map((pair) => pair.join("=")),
      ...(image.user === undefined ? {} : { User: image.user }),
      ...(image.workingDir === undefined ? {} : { WorkingDir: image.workingDir }),
      ...(image.entrypoint === undefined ? {} : { Entrypoint: image.entrypoint }),
      ...(command === undefined ? {} : { Cmd: command }),
    },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const manifest = writeBlob(folder, {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: `${OCI}.config.v1+json`, ...config },
    layers: [{ mediaType: `${OCI}.layer.v1.tar`, ...layer }],
  });
  const descriptor = indexed ? writeIndex(folder, manifest) : { mediaType: MANIFEST, ...manifest };
  const [name = ""] = names;
  const byDigest = `${name.replace(/:[^:/]+$/, "")}@${descriptor.digest}`;
  return {
    // The name by digest is one that a container runtime knows only if the archive has it.
    names: [...names, byDigest],
    reference: `${name}@${descriptor.digest}`,
    descriptor,
    blobs: [layer, config, manifest],
  };
}

/** An index as publishers have it, of which this machine's architecture is there. */
function writeIndex(folder: string, manifest: Blob) {
  const mediaType = `${OCI}.index.v1+json`;
  const other = { digest: `sha256:${"0".repeat(64)}`, size: 2, platform: { os: "linux", architecture: "s390x" } };
  const own = { ...manifest, platform: { os: "linux", architecture: ARCHITECTURE } };
  const manifests = [other, own].map((each) => ({ mediaType: MANIFEST, ...each }));
  return { mediaType, ...writeBlob(folder, { schemaVersion: 2, mediaType, manifests }) };
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

function writeBlob(folder: string, content: object): Blob {
  const text = JSON.stringify(content);
  writeFileSync(join(folder, "blobs/sha256", sha256(text)), text);
  return { digest: `sha256:${sha256(text)}`, size: text.length };
}

function blobOf(folder: string, file: string): Blob {
  const content = readFileSync(file);
  const hash = createHash("sha256").update(content).digest("hex");
  renameSync(file, join(folder, "blobs/sha256", hash));
  return { digest: `sha256:${hash}`, size: content.length };
}

/** The file system of an image as a tar, in which everything is root's but for the folders that say otherwise. */
function makeLayer(folder: string, image: LabImage, commands: readonly string[], programs: string | undefined): string {
  const root = join(folder, "root");
  for (const name of ["tmp", "etc", "usr/local/bin", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin"])
    mkdirSync(join(root, name), { recursive: true });
  for (const name of ["bin", "lib", "lib64", "sbin"]) symlinkSync(`usr/${name}`, join(root, name));
  chmodSync(join(root, "tmp"), 0o1777);
  if (programs !== undefined) execFileSync("cp", ["-a", `${programs}/.`, join(root, "usr/local/bin")]);
  const files = commands.map(commandPath);
  for (const file of [...files, ...librariesOf([...files, ...binariesOf(programs)])]) copyFile(root, file);
  if (commands.includes("git")) symlinkSync("git-remote-https", join(root, GIT_CORE, "git-remote-http"));
  writeFileSync(join(root, "etc/passwd"), `${["root:x:0:0::/:/bin/sh", ...(image.passwd ?? [])].join("\n")}\n`);
  for (const line of image.folders ?? []) {
    const [uid = "", gid = "", mode = "", path = ""] = line.split(" ");
    mkdirSync(join(root, path), { recursive: true });
    execFileSync("chown", [`${uid}:${gid}`, join(root, path)]);
    chmodSync(join(root, path), Number.parseInt(mode, 8));
  }
  for (const [path, target] of Object.entries(image.links ?? {})) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(target, join(root, path));
  }
  const tar = join(folder, "layer.tar");
  execFileSync("tar", ["-C", root, "--sort=name", "--mtime=@0", "--numeric-owner", "-cf", tar, "."]);
  rmSync(root, { recursive: true });
  return tar;
}

function commandPath(command: string): string {
  const path = command.startsWith("/") ? command : findOnPath(command, "/usr/bin:/bin");
  if (path === undefined) throw new Error(`lab: ${command} is missing - install what has it`);
  return path;
}

function binariesOf(programs: string | undefined): string[] {
  return ["argocd", "redis-server", "kustomize"].map((name) => join(programs ?? "", name)).filter(existsSync);
}

/** The libraries of programs, and what loads them; of one that is linked statically none. */
function librariesOf(files: readonly string[]): string[] {
  const libraries = files.flatMap((file) => {
    try {
      const text = execFileSync("ldd", [file], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
      return text.match(/\/\S+\.so\S*/g) ?? [];
    } catch {
      return [];
    }
  });
  return [...new Set(libraries)];
}

/** Copies what a path leads to, under that path. */
function copyFile(root: string, path: string): void {
  const target = join(root, realpathSync(dirname(path)), path.slice(dirname(path).length));
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(realpathSync(path), target);
}
