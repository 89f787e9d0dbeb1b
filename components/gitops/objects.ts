/**
 * The shapes of the Argo CD objects that edge-fleet emits: the subset of the v1alpha1 schemas that it uses, in the
 * schemas' own words. Lists are mutable so that the objects fit resource arguments as they are.
 * Source: manifests/crds of github.com/argoproj/argo-cd/v3 v3.2.11.
 */

/** Name, place and marks of a Kubernetes object. */
export interface ObjectMeta {
  readonly name: string;
  /** Absent on cluster-scoped objects. */
  readonly namespace?: string;
  /** Absent: none. */
  readonly labels?: Record<string, string>;
  /** Absent: none. */
  readonly annotations?: Record<string, string>;
}

/** One condition of a label selector. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  /** Absent for `Exists` and `DoesNotExist`. */
  readonly values?: string[];
}

/** Selects objects by their labels; all conditions must hold. */
export interface LabelSelector {
  /** Absent: {@link matchExpressions} alone decide. */
  readonly matchLabels?: Record<string, string>;
  /** Absent: {@link matchLabels} alone decide. */
  readonly matchExpressions?: LabelRequirement[];
}

/** Yields the keys of every file that matches, as template parameters. */
export interface GitFilesGenerator {
  readonly git: {
    readonly repoURL: string;
    /** Branch whose head is read. */
    readonly revision: string;
    readonly files: { readonly path: string }[];
  };
}

/** Yields name, server and labels of every cluster Secret that matches, as template parameters. */
export interface ClusterGenerator {
  readonly clusters: { readonly selector: LabelSelector };
}

/** Which objects of a kustomization a patch is for; all conditions must hold. Names are regular expressions. */
export interface PatchTarget {
  readonly group?: string | undefined;
  readonly kind?: string | undefined;
  readonly name?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly annotationSelector?: string | undefined;
}

/** A patch that Argo CD adds to a kustomization before it builds it. */
export interface KustomizePatch {
  /** Absent: the patch names its object. */
  readonly target?: PatchTarget;
  /** YAML or JSON. */
  readonly patch: string;
}

/** Where an Application's manifests are and what is put on top of them. */
export interface ApplicationSource {
  readonly repoURL: string;
  readonly targetRevision: string;
  readonly path: string;
  /** Absent: nothing is added to the kustomization. */
  readonly kustomize?: {
    readonly patches?: KustomizePatch[];
    /** Folders below the path; those that are missing are left out where {@link ignoreMissingComponents} says so. */
    readonly components?: string[];
    readonly ignoreMissingComponents?: boolean;
  };
  /** The files are applied as they are. */
  readonly directory?: {
    readonly include: string;
    /** No options; the controller writes the field whether it is set or not. */
    readonly jsonnet: Record<string, never>;
  };
  /** The folder is a chart. */
  readonly helm?: {
    /** Below the path. */
    readonly valueFiles?: string[];
    readonly ignoreMissingValueFiles?: boolean;
    /** Has the last word over the files. */
    readonly valuesObject?: Record<string, unknown>;
  };
}

/** The cluster and namespace that an Application or a project deploys to. */
export type Destination = { readonly namespace: string } & (
  | { readonly name: string; readonly server?: never }
  | { readonly server: string; readonly name?: never }
);

/** Fields of live objects that do not count as a difference. */
export interface IgnoredDifference {
  readonly group: string;
  readonly kind: string;
  readonly jqPathExpressions: string[];
}

/** What an Application says. As a template, its strings may hold Go templates. */
export interface ApplicationSpec {
  readonly project: string;
  readonly source: ApplicationSource;
  readonly destination: Destination;
  readonly syncPolicy: {
    readonly automated: {
      readonly enabled: boolean;
      readonly prune: boolean;
      readonly selfHeal: boolean;
      /** Absent: what would leave nothing is not synced. */
      readonly allowEmpty?: boolean;
    };
    readonly syncOptions: string[];
    readonly retry: {
      /** -1: for ever. */
      readonly limit: number;
      readonly backoff: { readonly duration: string; readonly factor: number; readonly maxDuration: string };
    };
  };
  /** Absent: everything counts. */
  readonly ignoreDifferences?: IgnoredDifference[];
  /** How many past syncs each Application remembers. */
  readonly revisionHistoryLimit: number;
}

/** What an ApplicationSet stamps out. */
export interface ApplicationTemplate {
  readonly metadata: {
    readonly name: string;
    readonly labels: Record<string, string>;
    /** Absent: none. */
    readonly annotations?: Record<string, string>;
    /** Absent: what the Application deployed outlives it. */
    readonly finalizers?: string[];
  };
  readonly spec: ApplicationSpec;
}

/** argoproj.io/v1alpha1 Application. */
export interface Application extends ApplicationTemplate {
  readonly apiVersion: "argoproj.io/v1alpha1";
  readonly kind: "Application";
  readonly metadata: ApplicationTemplate["metadata"] & { readonly namespace: string };
}

/** argoproj.io/v1alpha1 ApplicationSet. */
export interface ApplicationSet {
  readonly apiVersion: "argoproj.io/v1alpha1";
  readonly kind: "ApplicationSet";
  readonly metadata: ObjectMeta & {
    readonly namespace: string;
    /** What must be done before the set may go. Absent: nothing. */
    readonly finalizers?: string[];
  };
  readonly spec: {
    readonly goTemplate: boolean;
    readonly goTemplateOptions: string[];
    readonly generators: { readonly matrix: { readonly generators: (GitFilesGenerator | ClusterGenerator)[] } }[];
    readonly syncPolicy: {
      readonly applicationsSync: "create-only" | "create-update" | "create-delete" | "sync";
      readonly preserveResourcesOnDeletion: boolean;
    };
    readonly template: ApplicationTemplate;
    /** Go template of a patch in YAML that is laid over the stamped template. Absent: none. */
    readonly templatePatch?: string;
  };
}

/** A group and kind of Kubernetes objects; `""` is the core group. */
export interface GroupKind {
  readonly group: string;
  readonly kind: string;
}

/** A time at which Applications may sync; where a project has one, they sync in none but those. */
export interface SyncWindow {
  readonly kind: "allow";
  /** Five fields of cron, when it opens. */
  readonly schedule: string;
  /** Go's notation, e.g. `90m`. */
  readonly duration: string;
  /** Names, with wildcards. */
  readonly applications: string[];
  /** IANA name. */
  readonly timeZone: string;
}

/** argoproj.io/v1alpha1 AppProject. @typeParam Url of a Git repository: text, or what becomes it once it is known */
export interface AppProject<Url = string> {
  readonly apiVersion: "argoproj.io/v1alpha1";
  readonly kind: "AppProject";
  readonly metadata: ObjectMeta & { readonly namespace: string };
  readonly spec: {
    readonly description: string;
    readonly sourceRepos: Url[];
    /** By cluster name, or the one cluster of a device: an entry with `server: "*"` would be OR-ed and open every cluster. */
    readonly destinations: Destination[];
    readonly clusterResourceWhitelist: GroupKind[];
    /** Absent: all kinds. */
    readonly namespaceResourceWhitelist?: GroupKind[];
    readonly namespaceResourceBlacklist: GroupKind[];
    /** Absent: Applications of the project may sync at any time. */
    readonly syncWindows?: SyncWindow[];
  };
}
