/**
 * The shapes of the Argo CD objects that edge-fleet emits: the subset of the v1alpha1 schemas that it uses, in the
 * schemas' own words. Lists are mutable so that the objects fit resource arguments as they are.
 * Source: manifests/crds of github.com/argoproj/argo-cd/v3 v3.2.0.
 */

/** Name, place and marks of a Kubernetes object. */
export interface ObjectMeta {
  readonly name: string;
  /** Absent on cluster-scoped objects. */
  readonly namespace?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
}

/** One condition of a label selector. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: string[];
}

/** Selects objects by their labels; all conditions must hold. */
export interface LabelSelector {
  readonly matchLabels?: Record<string, string>;
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

/** What an ApplicationSet stamps out. Strings may hold Go templates. */
export interface ApplicationTemplate {
  readonly metadata: {
    readonly name: string;
    readonly labels: Record<string, string>;
    readonly annotations: Record<string, string>;
  };
  readonly spec: {
    readonly project: string;
    readonly source: {
      readonly repoURL: string;
      readonly targetRevision: string;
      readonly path: string;
      readonly kustomize: { readonly commonAnnotations: Record<string, string> };
    };
    readonly destination: { readonly name: string; readonly namespace: string };
    readonly syncPolicy: {
      readonly automated: { readonly enabled: boolean; readonly prune: boolean; readonly selfHeal: boolean };
      readonly syncOptions: string[];
      readonly retry: {
        /** -1: for ever. */
        readonly limit: number;
        readonly backoff: { readonly duration: string; readonly factor: number; readonly maxDuration: string };
      };
    };
    /** How many past syncs each Application remembers. */
    readonly revisionHistoryLimit: number;
  };
}

/** argoproj.io/v1alpha1 ApplicationSet. */
export interface ApplicationSet {
  readonly apiVersion: "argoproj.io/v1alpha1";
  readonly kind: "ApplicationSet";
  readonly metadata: ObjectMeta & { readonly namespace: string };
  readonly spec: {
    readonly goTemplate: boolean;
    readonly goTemplateOptions: string[];
    readonly generators: { readonly matrix: { readonly generators: (GitFilesGenerator | ClusterGenerator)[] } }[];
    readonly syncPolicy: {
      readonly applicationsSync: "create-only" | "create-update" | "create-delete" | "sync";
      readonly preserveResourcesOnDeletion: boolean;
    };
    readonly template: ApplicationTemplate;
  };
}

/** A group and kind of Kubernetes objects; `""` is the core group. */
export interface GroupKind {
  readonly group: string;
  readonly kind: string;
}

/** argoproj.io/v1alpha1 AppProject. */
export interface AppProject {
  readonly apiVersion: "argoproj.io/v1alpha1";
  readonly kind: "AppProject";
  readonly metadata: ObjectMeta & { readonly namespace: string };
  readonly spec: {
    readonly description: string;
    readonly sourceRepos: string[];
    /** By cluster name only: an entry with `server: "*"` would be OR-ed and open every cluster. */
    readonly destinations: { readonly name: string; readonly namespace: string }[];
    readonly clusterResourceWhitelist: GroupKind[];
    readonly namespaceResourceBlacklist: GroupKind[];
  };
}
