/**
 * What a region needs on the hub besides Argo CD itself: its namespace, its projects, and an account for its stack
 * whose rights end at that namespace, as plain objects in the order of their creation.
 */
import { controlPlaneNamespace, REGION_LABEL } from "../gitops/labels.ts";
import type { AppProject, ObjectMeta } from "../gitops/objects.ts";
import {
  type ProjectFleet,
  type ProjectRules,
  projectRules,
  renderDefaultProject,
  renderProject,
} from "../gitops/projects.ts";
import { STARTING_CONDITIONS } from "./starting-condition.ts";

/** ServiceAccount, Role, RoleBinding and token of a region's stack. */
export const REGION_ACCOUNT = "edge-fleet-region";

/** v1 Namespace. */
export interface Namespace {
  readonly apiVersion: "v1";
  readonly kind: "Namespace";
  readonly metadata: ObjectMeta;
}

/** v1 ServiceAccount. */
export interface ServiceAccount {
  readonly apiVersion: "v1";
  readonly kind: "ServiceAccount";
  readonly metadata: ObjectMeta;
  readonly automountServiceAccountToken: boolean;
}

/** What may be done with which resources. */
export interface PolicyRule {
  readonly apiGroups: string[];
  readonly resources: string[];
  /** Absent: whatever their names are. */
  readonly resourceNames?: string[];
  readonly verbs: string[];
}

/** rbac.authorization.k8s.io/v1 Role. */
export interface Role {
  readonly apiVersion: "rbac.authorization.k8s.io/v1";
  readonly kind: "Role";
  readonly metadata: ObjectMeta;
  readonly rules: PolicyRule[];
}

/** rbac.authorization.k8s.io/v1 RoleBinding. */
export interface RoleBinding {
  readonly apiVersion: "rbac.authorization.k8s.io/v1";
  readonly kind: "RoleBinding";
  readonly metadata: ObjectMeta;
  readonly roleRef: { readonly apiGroup: string; readonly kind: "Role"; readonly name: string };
  readonly subjects: { readonly kind: "ServiceAccount"; readonly name: string; readonly namespace: string }[];
}

/** v1 Secret that the API server fills with a token of the account named in its annotation. */
export interface TokenSecret {
  readonly apiVersion: "v1";
  readonly kind: "Secret";
  readonly type: "kubernetes.io/service-account-token";
  readonly metadata: ObjectMeta;
}

/** The objects of one region. @typeParam Url see {@link AppProject} */
export interface ControlPlane<Url = string> {
  readonly namespace: Namespace;
  /** Project of the overlays, and of every workload that names no other. */
  readonly project: AppProject<Url>;
  /** Projects that workloads of fleet.yaml name, by name. */
  readonly workloadProjects: readonly AppProject<Url>[];
  /** Argo CD's own project `default`, emptied: as installed it may deploy anything anywhere. */
  readonly defaultProject: AppProject;
  readonly serviceAccount: ServiceAccount;
  readonly role: Role;
  readonly roleBinding: RoleBinding;
  readonly token: TokenSecret;
}

const CHANGE = ["create", "update", "patch", "delete"];
/** Everything the stack owns itself. */
const MANAGE = ["get", "list", "watch", ...CHANGE];
/** Applications are made by the controller; the stack watches them, and deletes that of a device that leaves. */
const OBSERVE_AND_DELETE = ["get", "list", "watch", "delete"];

/**
 * Renders the objects of a region.
 * @param region name of the region
 * @param gitUrl URL of the fleet's repository: the only source that its projects may deploy from
 * @param fleet the workloads and projects of fleet.yaml. Default: none
 * @param tokenGeneration names the token: each number is another one. Default 1
 */
export function renderControlPlane<Url = string>(
  region: string,
  gitUrl: Url,
  fleet: ProjectFleet = {},
  tokenGeneration = 1,
): ControlPlane<Url> {
  const namespace = controlPlaneNamespace(region);
  const metadata = (name: string) => ({ name, namespace, labels: { [REGION_LABEL]: region } });
  const inRegion = { namespace, labels: { [REGION_LABEL]: region } };
  const render = (rules: ProjectRules) => renderProject(rules, inRegion, gitUrl, { name: "*" });
  const [overlays, ...own] = projectRules(fleet);
  return {
    namespace: renderNamespace(region),
    project: render(overlays),
    workloadProjects: own.map(render),
    defaultProject: renderDefaultProject(inRegion),
    ...renderAccount(metadata, tokenGeneration),
  };
}

/** The region's account on the hub: what it may do there, and the token that its stack logs in with. */
function renderAccount(
  metadata: (name: string) => Required<Pick<ObjectMeta, "name" | "namespace" | "labels">>,
  tokenGeneration: number,
): Pick<ControlPlane, "serviceAccount" | "role" | "roleBinding" | "token"> {
  const account = metadata(REGION_ACCOUNT);
  return {
    serviceAccount: {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: account,
      automountServiceAccountToken: false,
    },
    role: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: account,
      rules: [
        { apiGroups: [""], resources: ["secrets"], verbs: MANAGE },
        { apiGroups: ["argoproj.io"], resources: ["applicationsets"], verbs: MANAGE },
        { apiGroups: ["argoproj.io"], resources: ["applications"], verbs: OBSERVE_AND_DELETE },
        { apiGroups: [""], resources: ["configmaps"], verbs: ["get", "list", "watch"] },
        {
          apiGroups: [""],
          resources: ["configmaps"],
          resourceNames: Object.values(STARTING_CONDITIONS),
          verbs: CHANGE,
        },
      ],
    },
    roleBinding: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: account,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: REGION_ACCOUNT },
      subjects: [{ kind: "ServiceAccount", name: REGION_ACCOUNT, namespace: account.namespace }],
    },
    token: {
      apiVersion: "v1",
      kind: "Secret",
      type: "kubernetes.io/service-account-token",
      metadata: {
        ...metadata(`${REGION_ACCOUNT}-token${tokenGeneration === 1 ? "" : `-${tokenGeneration}`}`),
        annotations: { "kubernetes.io/service-account.name": REGION_ACCOUNT },
      },
    },
  };
}

function renderNamespace(region: string): Namespace {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: controlPlaneNamespace(region),
      labels: {
        [REGION_LABEL]: region,
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
      },
    },
  };
}
