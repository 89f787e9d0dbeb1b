/**
 * What the lock file has to hold: from the inventory to one entry per file that the fleet uses, with the place in the
 * lock file, the place on the network, and what is locked now. Pure. Versions are exact releases (the schema refuses
 * anything else), so nothing here resolves a channel. A new source of artifacts is one file in sources/ and one line in
 * {@link SOURCES}.
 */
import {
  type ArtifactFile,
  type Inventory,
  type Profile,
  resolveFleet,
  type WasmRuntime,
} from "../../components/inventory/index.ts";
import { planArgoCd } from "./sources/argocd.ts";
import { planK0s } from "./sources/k0s.ts";
import { planK3s } from "./sources/k3s.ts";
import { planMicroK8s } from "./sources/microk8s.ts";
import type { SignatureSource } from "./sources/signature.ts";
import { planWasm } from "./sources/wasm.ts";

/** Name of the lock file in the inventory's folder. */
export const LOCK_FILE = "artifacts.lock.yaml";

/** The projects' own: release assets on GitHub, files of a Git tag, and the Snap Store. URLs without a trailing slash. */
export const UPSTREAM = {
  /** Holds `<release>/k3s`, `<release>/k3s-arm64`, `<release>/sha256sum-<arch>.txt` and the image archives. */
  k3s: "https://github.com/k3s-io/k3s/releases/download",
  /** Holds `<release>/k0s-<release>-<arch>`, `<release>/sha256sums.txt` and the image bundles. */
  k0s: "https://github.com/k0sproject/k0s/releases/download",
  /** Holds `<release>/containerd-shim-spin-v2-linux-<machine>.tar.gz`. */
  spin: "https://github.com/spinframework/containerd-shim-spin/releases/download",
  /** Holds `containerd-shim-<runtime>/<release>/containerd-shim-<runtime>-<machine>-linux-musl.tar.gz`. */
  runwasi: "https://github.com/containerd/runwasi/releases/download",
  /** Answers `/v2/snaps/info/<snap>` and `/v2/assertions/...`. */
  snap: "https://api.snapcraft.io",
  /** Holds `<release>/manifests/...`. */
  argocd: "https://raw.githubusercontent.com/argoproj/argo-cd",
} as const;

/** A project whose releases are locked. */
export type Project = keyof typeof UPSTREAM;

/** Where releases are. */
export type ReleaseBases = Readonly<Record<Project, string>>;

/** Part of what the Snap Store has of one snap. */
export interface SnapPart {
  readonly name: string;
  /** Release that the revision must carry. */
  readonly version: string;
  /** The snap that this one is built on is meant, in its newest stable revision. */
  readonly base: boolean;
  readonly architecture: Profile["architecture"];
  readonly part: "snap" | "assertions";
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
  /** The file itself, large: downloaded once, when it is not locked. `published`: a hash that upstream tells elsewhere. */
  | { readonly kind: "archive"; readonly published?: string }
  /** The Snap Store, when it is not locked. */
  | { readonly kind: "snap"; readonly snap: SnapPart };

/** A word or number that stands beside files in the lock file. */
export interface LockScalar {
  readonly path: readonly string[];
  readonly value: string | number;
}

/** One file that the fleet uses. */
export interface UsedArtifact {
  readonly project: Project;
  /** Keys that lead to its entry in the lock file. */
  readonly path: readonly (string | number)[];
  /** The same for people, e.g. `k3s.v1.36.2+k3s1.arm64`. */
  readonly field: string;
  /** Who needs it, e.g. `2 devices, e.g. tokyo-0002`. */
  readonly usedBy: string;
  /** Where upstream, or the base that was given instead, has it. */
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

/** Sources in the order of the report. */
const SOURCES: readonly ((context: LockContext) => UsedArtifact[])[] = [
  planK3s,
  planK0s,
  planMicroK8s,
  planWasm,
  planArgoCd,
];

/**
 * Lists what is used.
 * @param bases default: {@link UPSTREAM}
 * @param shims releases of WASM shims by runtime. Default: as locked, else those of sources/wasm.ts
 * @throws Error naming a runtime in `shims` that no device uses
 */
export function planLock(
  inventory: Inventory,
  bases: ReleaseBases = UPSTREAM,
  shims: LockContext["shims"] = {},
): UsedArtifact[] {
  const context = { inventory, profiles: resolveFleet(inventory), bases, shims };
  return SOURCES.flatMap((source) => source(context));
}
