/**
 * The objects by which Flux deploys: GitRepositories and Kustomizations, as far as edge-fleet writes them.
 * https://fluxcd.io/flux/components/source/gitrepositories/, https://fluxcd.io/flux/components/kustomize/kustomizations/
 */
import { FLUX_NAMESPACE } from "./engine/flux/settings.ts";
import type { KustomizePatch } from "./objects.ts";

/** source.toolkit.fluxcd.io/v1 GitRepository. */
export interface GitRepository {
  readonly apiVersion: "source.toolkit.fluxcd.io/v1";
  readonly kind: "GitRepository";
  readonly metadata: FluxMeta;
  readonly spec: {
    readonly url: string;
    readonly interval: string;
    readonly timeout: string;
    /** With a commit the branch is what it is looked for on. */
    readonly ref: { readonly branch: string; readonly commit?: string };
  } & FluxGit;
}

/** How a GitRepository logs in. */
export interface FluxGit {
  /** Absent: with what the Secret has. */
  readonly provider?: "github";
  /** Absent: the repository is public. */
  readonly secretRef?: { readonly name: string };
}

/** kustomize.toolkit.fluxcd.io/v1 Kustomization. Without `postBuild`, nothing becomes of `${NAME}` in a manifest. */
export interface FluxKustomization {
  readonly apiVersion: "kustomize.toolkit.fluxcd.io/v1";
  readonly kind: "Kustomization";
  readonly metadata: FluxMeta;
  readonly spec: {
    readonly sourceRef: { readonly kind: "GitRepository"; readonly name: string };
    /** Folder of the repository. */
    readonly path: string;
    readonly interval: string;
    /** After a failure. */
    readonly retryInterval: string;
    /** Of a build, an apply, and of the wait. */
    readonly timeout: string;
    /** Deletes what the folder has no more. */
    readonly prune: boolean;
    /** Whether it is ready only when all that it has applied is well. */
    readonly wait: boolean;
    /** Account of its namespace on whose behalf it applies, see flux-accounts.ts. */
    readonly serviceAccountName: string;
    /** What becomes of what it has applied when it is deleted itself. Absent: it goes where `prune` is true. */
    readonly deletionPolicy?: "Orphan";
    /** Namespace of all of its objects. Absent: their own. */
    readonly targetNamespace?: string;
    /** Absent: none. */
    readonly patches?: readonly KustomizePatch[];
    /** Folders, by their paths from its own. Absent: none. */
    readonly components?: readonly string[];
    /** Absent: one that is missing is an error. */
    readonly ignoreMissingComponents?: boolean;
  };
}

/** Name, namespace and labels of an object of Flux. */
export interface FluxMeta {
  readonly name: string;
  readonly namespace: typeof FLUX_NAMESPACE;
  /** Absent: none. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Until a fetch is given up: a slow link takes a while for the history of a branch. */
const FETCH_TIMEOUT = "30m";

/** Between a failure and the next try, and until what was applied has to be well: each try is some writes to the flash. */
const RETRY_INTERVAL = "5m";
const APPLY_TIMEOUT = "3m";

/** How often Flux looks, in its notation. @param reconcileMinutes default: the inventory's */
export function fluxInterval(reconcileMinutes = 10): string {
  return `${reconcileMinutes}m`;
}

/** A repository at a branch, or at a commit of it. */
export function gitRepository(
  metadata: FluxMeta,
  spec: Pick<GitRepository["spec"], "url" | "interval" | "ref"> & FluxGit,
): GitRepository {
  const { url, interval, ref, ...git } = spec;
  return {
    apiVersion: "source.toolkit.fluxcd.io/v1",
    kind: "GitRepository",
    metadata,
    spec: { url, interval, timeout: FETCH_TIMEOUT, ref, ...git },
  };
}

/** A folder of the GitRepository of the same name, applied and healed. */
export function fluxKustomization(
  metadata: FluxMeta,
  spec: Omit<FluxKustomization["spec"], "sourceRef" | "retryInterval" | "timeout" | "prune">,
): FluxKustomization {
  const { path, interval, wait, ...rest } = spec;
  return {
    apiVersion: "kustomize.toolkit.fluxcd.io/v1",
    kind: "Kustomization",
    metadata,
    spec: {
      sourceRef: { kind: "GitRepository", name: metadata.name },
      path: `./${path}`,
      interval,
      retryInterval: RETRY_INTERVAL,
      timeout: APPLY_TIMEOUT,
      prune: true,
      wait,
      ...rest,
    },
  };
}

/** Metadata of an object in Flux' namespace. @param labels absent: none */
export function inFlux(name: string, labels?: Readonly<Record<string, string>>): FluxMeta {
  return { name, namespace: FLUX_NAMESPACE, ...(labels === undefined ? {} : { labels }) };
}
