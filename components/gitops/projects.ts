/**
 * The AppProjects of the workloads: from fleet.yaml to what each may deploy and where, the same on the hub and on a
 * device. `edge-fleet check` refuses what they would (cli/check/project.ts).
 */
import { namespaceOf, projectOf } from "./application.ts";
import { PROJECT_NAME, WORKLOAD_NAMESPACE } from "./labels.ts";
import type { AppProject, Destination, GroupKind } from "./objects.ts";
import type { TreeProjects, TreeWorkload } from "./tree-input.ts";

/** What of a workload decides where it may deploy to. */
export type ProjectWorkload = Pick<TreeWorkload, "name" | "namespace" | "project" | "state">;

/** What the projects follow from. */
export interface ProjectFleet {
  /** Absent: none. */
  readonly workloads?: readonly ProjectWorkload[] | undefined;
  /** Absent: they allow what their workloads need. */
  readonly projects?: TreeProjects | undefined;
}

/** What one project allows. */
export interface ProjectRules {
  readonly name: string;
  /** In order. */
  readonly namespaces: readonly string[];
  /** Cluster-scoped kinds; all others are refused. */
  readonly clusterKinds: readonly GroupKind[];
  /** Namespaced kinds that are refused; all others are allowed. */
  readonly forbiddenKinds: readonly GroupKind[];
}

/** Kinds that no workload may bring along by itself: they would widen its rights or lift the namespace's limits. */
const FORBIDDEN_KINDS: readonly GroupKind[] = [
  { group: "rbac.authorization.k8s.io", kind: "Role" },
  { group: "rbac.authorization.k8s.io", kind: "RoleBinding" },
  { group: "", kind: "ResourceQuota" },
  { group: "", kind: "LimitRange" },
];

/** The rules of every project, that of the overlays first. A removed workload keeps its place until its objects are gone. */
export function projectRules(fleet: ProjectFleet): [overlays: ProjectRules, ...ProjectRules[]] {
  const names = [...new Set((fleet.workloads ?? []).map(projectOf))].filter((name) => name !== PROJECT_NAME).sort();
  return [rulesOf(fleet, PROJECT_NAME), ...names.map((name) => rulesOf(fleet, name))];
}

function rulesOf({ workloads = [], projects = {} }: ProjectFleet, name: string): ProjectRules {
  const { kinds = [], namespaces = [] } = projects[name] ?? {};
  const allowed = kinds.map(parseKind);
  const own = workloads.filter((workload) => projectOf(workload) === name).map(namespaceOf);
  const overlays = name === PROJECT_NAME ? [WORKLOAD_NAMESPACE] : [];
  const allows = (forbidden: GroupKind) => allowed.some((kind) => sameKind(kind, forbidden));
  return {
    name,
    namespaces: [...new Set([...overlays, ...own, ...namespaces])].sort(),
    clusterKinds: [
      { group: "", kind: "Namespace" },
      ...allowed.filter((kind) => !FORBIDDEN_KINDS.some((forbidden) => sameKind(kind, forbidden))),
    ],
    forbiddenKinds: FORBIDDEN_KINDS.filter((forbidden) => !allows(forbidden)),
  };
}

/** Whether two kinds are the same one. */
export function sameKind(a: GroupKind, b: GroupKind): boolean {
  return a.group === b.group && a.kind === b.kind;
}

/**
 * The project as an object.
 * @param gitUrl URL of the fleet's repository: the only source that it may deploy from
 * @param cluster where it may deploy to
 */
export function renderProject<Url>(
  { name, namespaces, clusterKinds, forbiddenKinds }: ProjectRules,
  metadata: Omit<AppProject["metadata"], "name">,
  gitUrl: Url,
  cluster: { readonly name: string; readonly server?: never } | { readonly server: string; readonly name?: never },
): AppProject<Url> {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AppProject",
    metadata: { name, ...metadata },
    spec: {
      description: "Workloads of the region's devices. Managed by edge-fleet.",
      sourceRepos: [gitUrl],
      destinations: namespaces.map((namespace): Destination => ({ ...cluster, namespace })),
      clusterResourceWhitelist: [...clusterKinds],
      namespaceResourceBlacklist: [...forbiddenKinds],
    },
  };
}

/** Argo CD's own project `default`: as installed it may deploy anything anywhere. */
export function renderDefaultProject(metadata: Omit<AppProject["metadata"], "name">): AppProject {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AppProject",
    metadata: { name: "default", ...metadata },
    spec: {
      description: "Emptied by edge-fleet: nothing may deploy through it.",
      sourceRepos: [],
      destinations: [],
      clusterResourceWhitelist: [],
      namespaceResourceBlacklist: [],
    },
  };
}

/** `rbac.authorization.k8s.io/ClusterRole` or, of the core group, `Node`. */
function parseKind(text: string): GroupKind {
  const at = text.lastIndexOf("/");
  return { group: text.slice(0, Math.max(at, 0)), kind: text.slice(at + 1) };
}
