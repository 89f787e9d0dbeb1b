/** Objects of External Secrets that a device has no definition of, so that they are refused before it tries them. */
import type { TreeDevice } from "../../components/gitops/index.ts";
import type { TreeWorkload } from "../../components/gitops/tree-input.ts";
import { asMap, isYamlMap, nameOfObject, type YamlMap } from "../manifests/objects.ts";
import type { Finding, Rendered } from "./builds.ts";

const GROUP = /(^|\.)external-secrets\.io$/;

/** Kinds that the controller of `gitops.secrets` works on. */
const KNOWN: readonly unknown[] = ["ExternalSecret", "SecretStore"];

/**
 * Whether the team may bring a controller of its own: the tree defines a kind of External Secrets, or has charts, which are
 * not rendered here. What such a fleet has is not checked.
 * @param rendered everything of the tree
 * @param workloads those that are not removed
 */
export function bringsExternalSecrets(rendered: readonly Rendered[], workloads: readonly TreeWorkload[]): boolean {
  const definitions = rendered.flatMap(({ objects }) => objects).filter(isYamlMap);
  return (
    workloads.some(({ type }) => type === "helm") ||
    definitions.some(({ kind, spec }) => kind === "CustomResourceDefinition" && GROUP.test(String(asMap(spec).group)))
  );
}

/** @param devices that take the folder */
export function checkExternal({ path, objects }: Rendered, devices: readonly TreeDevice[]): Finding[] {
  const own = objects.filter(isYamlMap).filter(({ apiVersion }) => GROUP.test(String(apiVersion).replace(/\/.*/, "")));
  return own.flatMap((object): Finding[] => {
    const known = KNOWN.includes(object.kind);
    const without = devices.find(({ secrets }) => !known || secrets !== "external-secrets");
    if (without === undefined) return [];
    const message = `device ${without.id} takes it and ${describe(object, without)}, or leave it out there`;
    const value = `${String(object.kind)} ${String(asMap(object.metadata).name)}`;
    return [{ rule: "external", path, where: nameOfObject(object), message, value }];
  });
}

function describe({ kind }: YamlMap, { secrets }: TreeDevice): string {
  return secrets === "external-secrets"
    ? `knows ${KNOWN.join(" and ")} alone, no ${String(kind)} - use them`
    : "has nothing that works on it - set gitops.secrets to external-secrets";
}
