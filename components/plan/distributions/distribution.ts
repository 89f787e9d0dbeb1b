/** What edge-fleet has to know of a Kubernetes distribution: everything in which one differs from another. */
import type { ArtifactFile, ArtifactsLock, LockedRelease, LockedSnap } from "../../inventory/schema.ts";
import type { Profile } from "../../inventory/types.ts";
import type { ResolvedArtifact } from "../artifact.ts";
import type { DistributionPlan, RenderContext } from "./distribution-plan.ts";
import type { Finding } from "./finding.ts";

/** One Kubernetes distribution. */
export interface Distribution {
  /** Release that a new fleet starts with: the one that edge-fleet is tested with. */
  readonly release: string;
  /** RAM below which a server is refused, in MiB. */
  readonly memoryMiB: number;
  /** What stands against the profile. Reads no secret and throws nothing. */
  readonly check: (profile: Profile, context: RenderContext) => Finding[];
  /**
   * The plan of a device.
   * @throws Error naming the device, each setting that cannot work and its fix; or the secret that is missing
   */
  readonly render: (profile: Profile, context: RenderContext) => DistributionPlan;
  /** Keys of the secrets that only this distribution has. Default: none. */
  readonly secretKeys?: (profile: Profile, joined: boolean) => string[];
  /** Folder on the device whose manifests its cluster has as long as they are there. */
  readonly manifests: string;
  /** Folder on the device whose archives of images it imports before its first pod. Default: it has none. */
  readonly images?: string;
  /** Path on the device of the admin's kubeconfig. */
  readonly kubeconfig: string;
  /** IPv4 network of the pods. */
  readonly pods: (profile: Profile) => string;
  /** Flannel's backend. Default: it has no flannel that a profile chooses. */
  readonly flannel?: (profile: Profile) => string;
  /** What of the distribution itself writes so much that flash wears by it, by the names of program/preflight-machine.sh. */
  readonly writes: (profile: Profile) => string[];
  /** Ports between the machines of one cluster. */
  readonly ports: (profile: Profile) => readonly SitePort[];
  /** What the lock has to hold for a device, the binary or snap first. */
  readonly artifacts: (profile: Profile, lock: ArtifactsLock) => readonly LockedArtifact[];
  /** Where its releases come from. */
  readonly source: BinarySource | SnapSource;
}

/** A port that machines of one cluster reach each other on, e.g. `6443/tcp`, and what it is for. */
export type SitePort = readonly [port: string, purpose: string];

/** A file as the lock has it, and what it is on the device. */
export interface LockedArtifact extends Pick<ResolvedArtifact, "name" | "kind" | "installPath" | "mode"> {
  /** Its field in artifacts.lock.yaml, for people. */
  readonly field: string;
  /** Undefined: it is not locked. */
  readonly locked: ArtifactFile | undefined;
}

/** Releases with one binary and one image archive per architecture, and a list of hashes that covers both. */
export interface BinarySource {
  readonly kind: "binary";
  /** URL without a trailing slash, below which each release has its folder. */
  readonly base: string;
  /** Names of a release's files. */
  readonly files: (version: string, architecture: Profile["architecture"]) => ReleaseFiles;
  /** What the lock has of a release. */
  readonly locked: (lock: ArtifactsLock, version: string) => LockedRelease | undefined;
  /** Key that signs the binaries. Default: they are not signed. */
  readonly signature?: ReleaseSignature;
}

/** Names of a release's files. */
export interface ReleaseFiles {
  /** The list of hashes. */
  readonly list: string;
  readonly binary: string;
  /** Names of the image archive, best first: releases have named it differently. */
  readonly images: readonly string[];
}

/** A key beside the binaries of a release, each of which has its signature in `<binary>.sig`, as cosign makes it. */
export interface ReleaseSignature {
  /** Who signs, for people. */
  readonly signer: string;
  /** Name of the public key's file in a release. */
  readonly file: string;
  /** Field at the root of artifacts.lock.yaml that pins the SHA-256 of the key's file. */
  readonly field: Extract<keyof ArtifactsLock, `${string}Key`>;
}

/** Revisions of a snap, each release with its own. */
export interface SnapSource {
  readonly kind: "snap";
  /** What the lock has of a release. */
  readonly locked: (
    lock: ArtifactsLock,
    version: string,
    architecture: Profile["architecture"],
  ) => LockedSnap | undefined;
  /** Whether a device gets the snaps too that snapd would fetch from its store before this one. */
  readonly storeless: (profile: Profile) => boolean;
}
