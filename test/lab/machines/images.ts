/**
 * Images for machines that run real pods: from the toolchain's programs and the host's to one archive in the layout of OCI,
 * as a device gets it before it has a registry. A STAND-IN for images that others publish: an image has the entry point, the
 * user, the folders and the names of the real one, and of its file system what the lab's pods use.
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

/** References by digest of what {@link writeImages} has made. */
export interface LabImages {
  readonly argocd: string;
  readonly redis: string;
  readonly shell: string;
}

/** The names by which the K3s stand-in asks for what holds a pod, and for CoreDNS. toolchain/hub-apiserver/k3s */
const OWN_NAMES = ["docker.io/rancher/mirrored-pause:3.6", "stand-in.invalid/coredns:latest"];

/**
 * Writes the archive.
 * @param binaries what `deviceBinaries` has made
 * @param folder an empty one, for the archive's parts
 * @param archive path of the archive
 */
export function writeImages(binaries: string, folder: string, archive: string): LabImages {
  const imageOf = (repository: string): LabImage => {
    const image = IMAGES[repository];
    if (image === undefined) throw new Error(`the lab has no image ${repository}`);
    return image;
  };
  const [argocd, redis, shell] = ["quay.io/argoproj/argocd", "docker.io/library/redis", "lab.invalid/shell"] as const;
  mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
  const requests: readonly ImageRequest[] = [
    {
      names: [`${argocd}:lab`],
      image: imageOf(argocd),
      commands: ARGO_CD_COMMANDS,
      programs: join(binaries, "images/argocd"),
    },
    { names: [`${redis}:lab`], image: imageOf(redis), commands: ["sh"], programs: join(binaries, "images/redis") },
    {
      names: [`${shell}:1`, ...OWN_NAMES],
      image: imageOf(shell),
      commands: SHELL_COMMANDS,
      command: ["sh", "-c", "trap exit TERM; sleep 2147483647 & wait"],
    },
  ];
  const made = requests.map((request) => makeImage(folder, request));
  const manifests = made.flatMap(({ names, descriptor }) =>
    names.map((name) => ({ ...descriptor, annotations: { "io.containerd.image.name": name } })),
  );
  writeFileSync(join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  writeFileSync(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  execFileSync("tar", ["-C", folder, "-cf", archive, "oci-layout", "index.json", "blobs"]);
  const [first = "", second = "", third = ""] = made.map(({ reference }) => reference);
  return { argocd: first, redis: second, shell: third };
}

const OCI = "application/vnd.oci.image";

function makeImage(folder: string, { names, image, commands, programs, command }: ImageRequest) {
  const layer = blobOf(folder, makeLayer(folder, image, commands, programs));
  const config = writeBlob(folder, {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
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
  const descriptor = writeBlob(folder, {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: { mediaType: `${OCI}.config.v1+json`, ...config },
    layers: [{ mediaType: `${OCI}.layer.v1.tar`, ...layer }],
  });
  const [name = ""] = names;
  const byDigest = `${name.replace(/:[^:/]+$/, "")}@${descriptor.digest}`;
  return {
    // The name by digest is one that a container runtime knows only if the archive has it.
    names: [...names, byDigest],
    reference: `${name}@${descriptor.digest}`,
    descriptor: { mediaType: `${OCI}.manifest.v1+json`, ...descriptor },
  };
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
