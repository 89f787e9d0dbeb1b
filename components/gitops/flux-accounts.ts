/**
 * On whose behalf a Flux on a device works: of each project an account that may do what the project allows, the same as
 * its AppProject (projects.ts), and one for the root, which may bring Flux' own objects and let projects into their
 * namespaces. The kustomize-controller may only impersonate these. Pure.
 *
 * The root lets accounts into namespaces, since only then these are there. What bounds an account, also in a namespace that
 * the entry in Git lets it into, is its ValidatingAdmissionPolicy: it names the namespaces of the project, and the kinds that are refused
 * where all others are allowed, which RBAC cannot say. `up` brings it, so nothing in Git widens it, and a workload that comes
 * before its project's `up` holds up no other one.
 */
import { fluxAccount, fluxClusterMeta, fluxMeta, roleBinding } from "./engine/flux/object.ts";
import { FLUX_NAMESPACE, FLUX_PARTS } from "./engine/flux/settings.ts";
import type { EngineObject } from "./engine/pod.ts";
import { ROOT_NAME } from "./labels.ts";
import { type ProjectFleet, type ProjectRules, projectRules } from "./projects.ts";

/** A ClusterRole that is bound in a project's namespaces alone. */
const NAMESPACE_ROLE = "edge-fleet-project";
const RBAC = "rbac.authorization.k8s.io";
const WRITE = ["get", "list", "watch", "create", "update", "patch", "delete"];
/** Without `delete`: what it brings of these stays, see flux-entry.ts. */
const KEEP = WRITE.filter((verb) => verb !== "delete");

/** Name of the account of a project, in Flux' namespace. */
export function projectAccount(project: string): string {
  return `project-${project}`;
}

/** The accounts of a fleet's projects and of the root, with their rights and who takes their place. */
export function fluxAccounts(fleet: ProjectFleet): EngineObject[] {
  const rules = projectRules(fleet);
  const impersonated = [ROOT_NAME, ...rules.map(({ name }) => projectAccount(name))];
  return [
    clusterRole(NAMESPACE_ROLE, [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }]),
    ...rootAccount(),
    ...rules.flatMap(accountOf),
    ...roleBinding("Role", fluxMeta("impersonation"), "kustomize-controller", [
      { apiGroups: [""], resources: ["serviceaccounts"], resourceNames: impersonated, verbs: ["impersonate"] },
    ]),
  ] as EngineObject[];
}

/** Lets the projects of a fleet into a namespace that they have, as its entry in Git does. */
export function namespaceBinding(fleet: ProjectFleet, namespace: string, annotations: Record<string, string>): object {
  const allowed = projectRules(fleet).filter(({ namespaces }) => namespaces.includes(namespace));
  return {
    apiVersion: `${RBAC}/v1`,
    kind: "RoleBinding",
    metadata: { name: NAMESPACE_ROLE, namespace, annotations },
    roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: NAMESPACE_ROLE },
    subjects: allowed.map(({ name }) => ({
      kind: "ServiceAccount",
      name: projectAccount(name),
      namespace: FLUX_NAMESPACE,
    })),
  };
}

function rootAccount(): object[] {
  const { sourceController, kustomizeController } = FLUX_PARTS;
  return [
    ...fluxAccount(ROOT_NAME, [
      { apiGroups: [sourceController.group], resources: ["gitrepositories"], verbs: WRITE },
      { apiGroups: [kustomizeController.group], resources: [...kustomizeController.kinds], verbs: WRITE },
    ]),
    ...roleBinding("ClusterRole", fluxClusterMeta(ROOT_NAME), ROOT_NAME, [
      { apiGroups: [""], resources: ["namespaces"], verbs: KEEP },
      { apiGroups: [RBAC], resources: ["rolebindings"], verbs: KEEP },
      { apiGroups: [RBAC], resources: ["clusterroles"], resourceNames: [NAMESPACE_ROLE], verbs: ["bind"] },
    ]),
    ...admissionPolicy(ROOT_NAME, { apiGroups: [RBAC], resources: ["rolebindings"] }, [
      {
        expression: `object.subjects.all(subject, subject.kind == "ServiceAccount" && subject.namespace == "${FLUX_NAMESPACE}" && subject.name.startsWith("${projectAccount("")}"))`,
        message: "the entry in Git lets another one than a project's account into a namespace - run edge-fleet render",
      },
    ]),
  ];
}

function accountOf({ name, namespaces, clusterKinds, forbiddenKinds }: ProjectRules): object[] {
  const account = projectAccount(name);
  const rules = clusterKinds.map(({ group, kind }) => ({
    apiGroups: [group],
    resources: [resourceOf(kind)],
    verbs: group === RBAC ? ["*"] : WRITE,
  }));
  const forbidden = forbiddenKinds.map(({ group, kind }) => `${group}/${kind}`);
  const allow = `in fleet.yaml: projects.${name}`;
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: fluxMeta(account) },
    ...roleBinding("ClusterRole", fluxClusterMeta(account), account, rules),
    ...admissionPolicy(account, { apiGroups: ["*"], resources: ["*/*"] }, [
      {
        expression: `request.namespace in ${JSON.stringify(namespaces)}`,
        message: `project ${name} refuses this namespace - use one of its own, or allow it ${allow}.namespaces`,
      },
      {
        expression: `!((request.kind.group + "/" + request.kind.kind) in ${JSON.stringify(forbidden)})`,
        message: `project ${name} refuses this kind - leave it out, or allow it ${allow}.kinds`,
      },
    ]),
  ];
}

function clusterRole(name: string, rules: readonly object[]): object {
  return { apiVersion: `${RBAC}/v1`, kind: "ClusterRole", metadata: fluxClusterMeta(name), rules };
}

/**
 * What is asked of objects with a namespace that an account makes or changes. It may delete them, so that what was allowed once can go.
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
function admissionPolicy(
  account: string,
  asked: { readonly apiGroups: readonly string[]; readonly resources: readonly string[] },
  validations: readonly { readonly expression: string; readonly message: string }[],
): object[] {
  const metadata = fluxClusterMeta(`edge-fleet-${account}`);
  const username = `system:serviceaccount:${FLUX_NAMESPACE}:${account}`;
  const apiVersion = "admissionregistration.k8s.io/v1";
  return [
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicy",
      metadata,
      spec: {
        failurePolicy: "Fail",
        matchConstraints: {
          resourceRules: [{ ...asked, apiVersions: ["*"], operations: ["CREATE", "UPDATE"], scope: "Namespaced" }],
        },
        matchConditions: [{ name: "account", expression: `request.userInfo.username == "${username}"` }],
        validations,
      },
    },
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata,
      spec: { policyName: metadata.name, validationActions: ["Deny"] },
    },
  ];
}

/** The resource of a kind as Kubernetes itself guesses it: UnsafeGuessKindToResource in pkg/api/meta/restmapper.go of apimachinery. */
function resourceOf(kind: string): string {
  const singular = kind.toLowerCase();
  if (singular.endsWith("s")) return `${singular}es`;
  return singular.endsWith("y") ? `${singular.slice(0, -1)}ies` : `${singular}s`;
}
