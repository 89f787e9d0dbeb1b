/** A definition of Kubernetes as a small device can hold it. Pure. */
import { parse } from "yaml";
import { formatYaml } from "../../components/gitops/yaml.ts";
import { asList, asMap, isYamlMap } from "../manifests/objects.ts";

/**
 * A definition without its descriptions and the versions that are not served: the API server takes and refuses the same
 * objects by it, and `kubectl explain` alone says less.
 * @param text upstream's YAML
 * @param url where it is from, for its header and for messages
 * @throws Error naming the URL, where it is no definition
 */
export function trimDefinition(text: string, url: string): string {
  const definition = asMap(parse(text));
  if (definition.kind !== "CustomResourceDefinition")
    throw new Error(`${url}: is no CustomResourceDefinition - check the base URL`);
  const spec = asMap(definition.spec);
  const versions = asList(spec.versions).filter((version) => asMap(version).served === true);
  const header = [`${url}, without descriptions and versions that are not served.`, "Written by `edge-fleet lock`."];
  return formatYaml(header, withoutDescriptions({ ...definition, spec: { ...spec, versions } }));
}

/** A property may have that name: it is no text then. */
function withoutDescriptions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDescriptions);
  if (!isYamlMap(value)) return value;
  const kept = Object.entries(value).filter(([key, child]) => key !== "description" || typeof child !== "string");
  return Object.fromEntries(kept.map(([key, child]) => [key, withoutDescriptions(child)]));
}
