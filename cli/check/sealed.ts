/**
 * SealedSecrets that nobody would open, so that they are refused before a device tries: from built objects and the devices
 * that take them to findings. One without the annotation of `edge-fleet seal` is anybody's, and only looked at for its devices.
 */
import { SEALING_KEY_ANNOTATION, type TreeDevice } from "../../components/gitops/index.ts";
import { asMap, isYamlMap, nameOfObject } from "../manifests/objects.ts";
import type { Finding, Rendered } from "./builds.ts";

/** @param devices that take the folder; an object that one of them cannot open is found */
export function checkSealed({ path, objects }: Rendered, devices: readonly TreeDevice[]): Finding[] {
  return objects.filter(isYamlMap).flatMap((object): Finding[] => {
    const { apiVersion, kind, metadata } = object;
    if (kind !== "SealedSecret" || !String(apiVersion).startsWith("bitnami.com/")) return [];
    const { name, annotations } = asMap(metadata);
    const message = refuse(asMap(annotations)[SEALING_KEY_ANNOTATION], devices);
    const value = `SealedSecret ${String(name)}`;
    return message === undefined ? [] : [{ rule: "sealed", path, where: nameOfObject(object), message, value }];
  });
}

function refuse(key: unknown, devices: readonly TreeDevice[]): string | undefined {
  const without = devices.find(({ sealing }) => sealing === undefined);
  if (without !== undefined)
    return `device ${without.id} takes it and has nothing to open it - set gitops.secrets to sealed-secrets, or leave it out there`;
  const other = devices.find(({ sealing = [] }) => typeof key === "string" && !sealing.includes(key));
  return other === undefined
    ? undefined
    : `device ${other.id} takes it and has not the key ${String(key)} that it was sealed with - put it where only devices with that key take it, e.g. components/region/<region>, or seal it with edge-fleet seal ${other.region}`;
}
