/** What flux-story.ts tries of the accounts on a device, and a kind that its project allows. */

const OF_PROJECT = "--serviceaccount=flux-system:project-edge-workloads";

/** What an account on a device asks of its API, and what is said against it; empty: nothing. */
export const ASKED: readonly (readonly [account: string, words: string, refused: RegExp | ""])[] = [
  ["project-edge-workloads", "-n edge-apps create configmap x --dry-run=server", ""],
  ["project-edge-workloads", "-n extra create secret generic x --dry-run=server", ""],
  ["project-edge-workloads", "create namespace x --dry-run=server", ""],
  [
    "project-edge-workloads",
    "-n kube-system create configmap x",
    /cannot create .*configmaps.* namespace "kube-system"/,
  ],
  ["project-edge-workloads", "-n flux-system get secrets", /cannot list .*secrets/],
  ["project-edge-workloads", "create clusterrole x --verb=get --resource=pods", /cannot create .*clusterroles/],
  ["project-edge-workloads", "-n edge-apps create quota x", /project edge-workloads refuses this kind/],
  ["edge-root", "-n edge-apps create configmap x", /cannot create .*configmaps/],
  ["edge-root", `-n default create rolebinding x --clusterrole=edge-fleet-project ${OF_PROJECT}`, ""],
  ["project-edge-workloads", "-n default create configmap x", /project edge-workloads refuses this namespace/],
  [
    "edge-root",
    "-n edge-apps create rolebinding x --clusterrole=edge-fleet-project --serviceaccount=edge-apps:default",
    /lets another one than a project's account into a namespace/,
  ],
  [
    "edge-root",
    `-n edge-apps create rolebinding x --clusterrole=cluster-admin ${OF_PROJECT}`,
    /attempting to grant RBAC permissions not currently held/,
  ],
  ["kustomize-controller", "-n flux-system get secrets", /cannot list .*secrets/],
  ["kustomize-controller", "get namespaces", /cannot list .*namespaces/],
  ["default", "-n edge-apps get configmaps", /cannot list .*configmaps/],
];

/** A kind, and an object of it. */
export function widgets(): object[] {
  const [group, name] = ["lab.invalid", "v1"];
  const schema = { openAPIV3Schema: { type: "object" } };
  return [
    {
      ...{
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        metadata: { name: `widgets.${group}` },
      },
      spec: {
        ...{ group, scope: "Namespaced", names: { kind: "Widget", plural: "widgets" } },
        versions: [{ name, served: true, storage: true, schema }],
      },
    },
    { apiVersion: `${group}/${name}`, kind: "Widget", metadata: { name: "one" } },
  ];
}
