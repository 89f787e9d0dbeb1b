/**
 * SealedSecrets that a device could not open, so that they are refused before it tries. One that `edge-fleet seal` has
 * not made is for a controller of the team's own, and not checked.
 */
import { SEALING_KEY_ANNOTATION, type TreeDevice } from "../../components/gitops/index.ts";
import { asMap, isYamlMap, nameOfObject } from "../manifests/objects.ts";
import type { Finding, Rendered } from "./builds.ts";

/** @param devices that take the folder */
export function checkSealed({ path, objects }: Rendered, devices: readonly TreeDevice[]): Finding[] {
  return objects.filter(isYamlMap).flatMap((object): Finding[] => {
    const { name, annotations } = asMap(object.metadata);
    const key = asMap(annotations)[SEALING_KEY_ANNOTATION];
    const closed = devices.find(({ sealing = [] }) => !sealing.includes(String(key)));
    if (object.kind !== "SealedSecret" || key === undefined || closed === undefined) return [];
    const value = `SealedSecret ${String(name)}`;
    return [{ rule: "sealed", path, where: nameOfObject(object), message: describe(String(key), closed), value }];
  });
}

function describe(key: string, { id, region, sealing }: TreeDevice): string {
  return sealing === undefined
    ? `device ${id} takes it and opens none - set gitops.secrets to sealed-secrets, or leave it out there`
    : `device ${id} takes it and has no key ${key}, which it was sealed with - seal it with edge-fleet seal ${region}, or put it where only devices with that key take it, e.g. components/region/<region>/team`;
}
