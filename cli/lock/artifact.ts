/**
 * What is said of one file that the fleet uses, between the sources that list it, the plan, and what resolves and writes
 * it: where upstream has it, where its hash comes from, and its place in the lock file.
 */
import type { ArtifactFile, Inventory, Profile, WasmRuntime } from "../../components/inventory/index.ts";
import type { ReleaseSignature } from "../../components/plan/distributions/distribution.ts";
import { DISTRIBUTIONS } from "../../components/plan/distributions/index.ts";

import type { ArchivedImage } from "./image-archive.ts";

type DistributionName = Profile["distribution"];

/** The projects' own: release assets on GitHub, files of a Git tag, and the Snap Store. URLs without a trailing slash. */
const PROJECTS = {
  /** Holds `<release>/containerd-shim-spin-v2-linux-<machine>.tar.gz`. */
  spin: "https://github.com/spinframework/containerd-shim-spin/releases/download",
  /** Holds `containerd-shim-<runtime>/<release>/containerd-shim-<runtime>-<machine>-linux-musl.tar.gz`. */
  runwasi: "https://github.com/containerd/runwasi/releases/download",
  /** Answers `/v2/snaps/info/<snap>` and `/v2/assertions/...`. */
  snap: "https://api.snapcraft.io",
  /** Holds `<release>/manifests/...`. */
  argocd: "https://raw.githubusercontent.com/argoproj/argo-cd",
  /** Holds `<controller>/<release>/config/crd/bases/...`. */
  flux: "https://raw.githubusercontent.com/fluxcd",
  /** Holds `<release>/helm/sealed-secrets/crds/...`. */
  sealedsecrets: "https://raw.githubusercontent.com/bitnami/sealed-secrets",
  /** Holds `<release>/config/crds/bases/...`. */
  externalsecrets: "https://raw.githubusercontent.com/external-secrets/external-secrets",
} as const;

/** A project whose releases are locked: a distribution that is one binary, or another one. */
export type Project = DistributionName | keyof typeof PROJECTS;

/** Where releases are. A distribution that is absent has none of its own. */
export type ReleaseBases = Readonly<Record<keyof typeof PROJECTS, string> & Partial<Record<DistributionName, string>>>;

/** Upstream's own, those of distributions first. */
export const UPSTREAM: ReleaseBases = {
  ...Object.fromEntries(
    Object.entries(DISTRIBUTIONS).flatMap(([name, { source }]) =>
      source.kind === "binary" ? [[name, source.base]] : [],
    ),
  ),
  ...PROJECTS,
};

/** Part of what the Snap Store has of one snap. */
export interface SnapPart {
  readonly name: string;
  /** Release that the revision of `pick: "release"` must carry. */
  readonly version: string;
  /**
   * `release`: the revision of this release. `base`: the newest stable revision of the snap that the release is built on.
   * `stable`: the newest stable revision of this snap.
   */
  readonly pick: "release" | "base" | "stable";
  readonly architecture: Profile["architecture"];
  readonly part: "snap" | "assertions";
}

/** How a file of a release is signed. */
export interface SignatureSource extends Omit<ReleaseSignature, "file"> {
  /** URL of the public key. */
  readonly key: string;
  /** SHA-256 of the key that the lock file pins, lower-case hex. Undefined: none yet, the key is trusted on first use. */
  readonly pinned: string | undefined;
}

/** Where a file's hash comes from. */
export type HashSource =
  /**
   * A list that the release carries: the line of the first of these files that it names. `signature`: what is newly locked
   * is downloaded once, and `<url>.sig` must be its signature.
   */
  | {
      readonly kind: "list";
      readonly url: string;
      readonly files: readonly { name: string; url: string }[];
      readonly signature?: SignatureSource;
    }
  /** The file itself, a text, downloaded each time. */
  | { readonly kind: "file" }
  /** A definition that is put beside the lock file without its descriptions and the versions that are not served. */
  | { readonly kind: "definition"; readonly beside: string }
  /** The file itself, large: downloaded once, when it is not locked. `published`: a hash that upstream tells elsewhere. */
  | { readonly kind: "archive"; readonly published?: string }
  /** The Snap Store, when it is not locked. */
  | { readonly kind: "snap"; readonly snap: SnapPart }
  /**
   * An image: the registry's digest, when it is not locked, of the reference that a manifest of the release has of the
   * image whose repository ends with this name. Locked as one text; a file's URL is its reference then.
   */
  | { readonly kind: "image"; readonly name: string; readonly manifest: string }
  /** The same of an image that no manifest of the release names by its tag. */
  | { readonly kind: "image"; readonly reference: string }
  /** An archive that the workstation makes of an image, when it is not locked. */
  | { readonly kind: "image-archive"; readonly image: ArchivedImage };

/** A word or number that stands beside files in the lock file. */
export interface LockScalar {
  readonly path: readonly string[];
  readonly value: string | number;
}

/** One file that the fleet uses. */
export interface UsedArtifact {
  /** `registry`: it is made of what a registry has. */
  readonly project: Project | "registry";
  /** Keys that lead to its entry in the lock file. */
  readonly path: readonly (string | number)[];
  /** The same for people, e.g. `k3s.v1.36.2+k3s1.arm64`. */
  readonly field: string;
  /** Who needs it, e.g. `2 devices, e.g. tokyo-0002`. */
  readonly usedBy: string;
  /** Where upstream, or the base that was given instead, has it; of an image the end of its repository's name. */
  readonly url: string;
  readonly hash: HashSource;
  /** What the lock file says now of this release. */
  readonly locked: ArtifactFile | undefined;
  /** Written with the entry. Default: nothing. */
  readonly scalars?: readonly LockScalar[];
  /** Entries of another release that this one takes the place of; they leave the lock file. Default: none. */
  readonly replaces?: readonly (readonly string[])[];
}

/** What a source plans from. */
export interface LockContext {
  readonly inventory: Inventory;
  /** Every device of the fleet. */
  readonly profiles: readonly Profile[];
  readonly bases: ReleaseBases;
  /** Releases of WASM shims that were asked for. */
  readonly shims: Readonly<Partial<Record<WasmRuntime, string>>>;
}
