/** What the AppProject of a workload would refuse, so that it is refused before a device tries it. */
import { namespaceOf, projectOf } from "../../components/gitops/application.ts";
import { type ProjectRules, sameKind } from "../../components/gitops/projects.ts";
import type { TreeWorkload } from "../../components/gitops/tree-input.ts";
import { asMap, isYamlMap, nameOfObject, type YamlMap } from "../manifests/objects.ts";
import type { Finding, Rendered } from "./builds.ts";

/** Cluster-scoped kinds of Kubernetes 1.36 by group; others are told by their definition, where the tree has it. */
const CLUSTER_SCOPED: Readonly<Record<string, readonly string[]>> = {
  "": ["Namespace", "Node", "PersistentVolume"],
  "admissionregistration.k8s.io": [
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
  ],
  "apiextensions.k8s.io": ["CustomResourceDefinition"],
  "apiregistration.k8s.io": ["APIService"],
  "certificates.k8s.io": ["CertificateSigningRequest", "ClusterTrustBundle"],
  "flowcontrol.apiserver.k8s.io": ["FlowSchema", "PriorityLevelConfiguration"],
  "networking.k8s.io": ["IPAddress", "IngressClass", "ServiceCIDR"],
  "node.k8s.io": ["RuntimeClass"],
  "rbac.authorization.k8s.io": ["ClusterRole", "ClusterRoleBinding"],
  "resource.k8s.io": ["DeviceClass", "ResourceSlice"],
  "scheduling.k8s.io": ["PriorityClass"],
  "storage.k8s.io": ["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
};

/**
 * What the project refuses of a folder.
 * @param workload undefined: the overlays
 * @param rules those of every project
 */
export function checkProject(
  { path, objects }: Rendered,
  workload: TreeWorkload | undefined,
  rules: readonly ProjectRules[],
): Finding[] {
  const own = rules.find(({ name }) => name === projectOf(workload));
  if (own === undefined) return [];
  const defined = objects.filter(isYamlMap).flatMap(clusterKindOf);
  return objects.filter(isYamlMap).flatMap((object): Finding[] => {
    const message = refuse(object, own, namespaceOf(workload), defined);
    if (message === undefined) return [];
    const where = nameOfObject(object);
    return [
      { rule: "project", path, where, message, value: `${String(object.kind)} ${String(asMap(object.metadata).name)}` },
    ];
  });
}

function refuse(
  object: YamlMap,
  { name, namespaces, clusterKinds, forbiddenKinds }: ProjectRules,
  namespace: string,
  defined: readonly string[],
): string | undefined {
  const kind = { group: groupOf(object), kind: String(object.kind) };
  const full = kind.group === "" ? kind.kind : `${kind.group}/${kind.kind}`;
  const allow = `leave it out, or allow it in fleet.yaml: projects.${name}`;
  if (CLUSTER_SCOPED[kind.group]?.includes(kind.kind) || defined.includes(full))
    return clusterKinds.some((allowed) => sameKind(allowed, kind))
      ? undefined
      : `project ${name} refuses the kind ${full}, which is of the whole cluster - ${allow}.kinds: ["${full}"]`;
  if (forbiddenKinds.some((forbidden) => sameKind(forbidden, kind)))
    return `project ${name} refuses the kind ${full} - ${allow}.kinds: ["${full}"]`;
  const target = asMap(object.metadata).namespace ?? namespace;
  return namespaces.includes(String(target))
    ? undefined
    : `project ${name} refuses the namespace ${String(target)} - use ${namespace}, or allow it in fleet.yaml: projects.${name}.namespaces: [${String(target)}]`;
}

function groupOf({ apiVersion }: YamlMap): string {
  const text = String(apiVersion ?? "");
  return text.includes("/") ? text.slice(0, text.indexOf("/")) : "";
}

/** The kind that a definition of the tree makes cluster-scoped. */
function clusterKindOf({ kind, spec }: YamlMap): string[] {
  const { scope, group, names } = asMap(spec);
  return kind === "CustomResourceDefinition" && scope === "Cluster"
    ? [`${String(group)}/${String(asMap(names).kind)}`]
    : [];
}
