/**
 * The rendered difference of leaves between two commits: the objects that change, line by line, and the leaves that
 * share a change as one group. Values of Secrets are hidden.
 */
import { createHash } from "node:crypto";
import { parseDocument, stringify } from "yaml";
import { diffLines } from "../../components/gitops/difference.ts";
import { MODEL_LABEL, REGION_LABEL } from "../../components/gitops/labels.ts";
import { asMap, isYamlMap, nameOfObject, type YamlMap } from "../manifests/objects.ts";

/** One object of a leaf that is there before or after, or differs. */
export interface ObjectChange {
  /** `Deployment edge-apps/web` */
  readonly object: string;
  readonly change: "added" | "removed" | "changed";
  /** Lines with ` `, `-` or `+` in front; `@@` stands for what is left out. Without line ends. */
  readonly lines: readonly string[];
}

/** What becomes of a leaf. */
export type LeafDifference =
  | { readonly kind: "unchanged" }
  | { readonly kind: "changed" | "added" | "removed"; readonly changes: readonly ObjectChange[] }
  /** It does not build before or after. */
  | { readonly kind: "failed"; readonly at: "base" | "head"; readonly message: string };

/** A leaf or workload folder and what becomes of it. */
export interface DiffedLeaf {
  /** Folder below the tree. */
  readonly path: string;
  /** Devices that deploy it. */
  readonly devices: number;
  readonly difference: LeafDifference;
}

/** Leaves that share a difference. */
export interface DiffGroup {
  readonly paths: readonly string[];
  readonly devices: number;
  /** As in the first of the paths. */
  readonly difference: Exclude<LeafDifference, { readonly kind: "unchanged" }>;
}

const CONTEXT_LINES = 3;
const HIDDEN = "(hidden)";

/**
 * Compares the manifests of a leaf.
 * @param base what `kustomize build` printed before; undefined: the leaf is new
 * @param head what it prints after; undefined: the leaf is gone
 */
export function diffManifests(base: string | undefined, head: string | undefined): LeafDifference {
  if (base === head) return { kind: "unchanged" };
  const [before, after] = [splitManifests(base ?? ""), splitManifests(head ?? "")];
  const there = new Set(after);
  const kept = new Set(before.filter((text) => there.has(text)));
  const read = (texts: readonly string[]) => readObjects(texts.filter((text) => !kept.has(text)));
  const [old, young] = [read(before), read(after)];
  const changes = [...new Set([...old.keys(), ...young.keys()])]
    .sort()
    .flatMap((key) => compareObjects(old.get(key), young.get(key)));
  if (base === undefined) return { kind: "added", changes };
  if (head === undefined) return { kind: "removed", changes };
  return changes.length === 0 ? { kind: "unchanged" } : { kind: "changed", changes };
}

/** Groups leaves by what changes in them, the most devices first. Unchanged ones are left out. */
export function groupDifferences(leaves: readonly DiffedLeaf[]): DiffGroup[] {
  const groups = new Map<string, DiffGroup>();
  for (const { path, devices, difference } of leaves.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    if (difference.kind === "unchanged") continue;
    const key = keyOf(difference);
    const group = groups.get(key) ?? { paths: [], devices: 0, difference };
    groups.set(key, { ...group, paths: [...group.paths, path], devices: group.devices + devices });
  }
  return [...groups.values()].sort(
    (a, b) => b.devices - a.devices || ((a.paths[0] ?? "") < (b.paths[0] ?? "") ? -1 : 1),
  );
}

/** What counts is what changes: lines around it, which name the region or the model, may differ. */
function keyOf(difference: DiffGroup["difference"]): string {
  const hash = createHash("sha256").update(difference.kind);
  if (difference.kind === "failed") hash.update(`${difference.at}\0${difference.message}`);
  else
    for (const { object, change, lines } of difference.changes) {
      hash.update(`\0${change}\0${object}`);
      // What a whole leaf brings or takes is told by its objects alone.
      if (difference.kind === "changed") for (const line of lines) if (/^[-+]/.test(line)) hash.update(`\0${line}`);
    }
  return hash.digest("hex");
}

/** kustomize prints `---` between objects, and no line of an object begins so. */
function splitManifests(text: string): string[] {
  return text.split(/^---\n/m).filter((part) => part.trim() !== "");
}

interface ReadObject {
  readonly name: string;
  readonly text: string;
  /** Set for a Secret: its text must not be shown. */
  readonly secret: YamlMap | undefined;
}

function readObjects(texts: readonly string[]): Map<string, ReadObject> {
  const objects = new Map<string, ReadObject>();
  for (const text of texts) {
    const value = asMap(parseDocument(text, { version: "1.1" }).toJS({ maxAliasCount: 100 }));
    const name = nameOfObject(value);
    const [, group = ""] = /^(.*?)\//.exec(String(value.apiVersion)) ?? [];
    objects.set(`${name} ${group}`, { name, text, secret: value.kind === "Secret" ? value : undefined });
  }
  return objects;
}

function compareObjects(old: ReadObject | undefined, young: ReadObject | undefined): ObjectChange[] {
  const name = (young ?? old)?.name ?? "";
  const change = old === undefined ? "added" : young === undefined ? "removed" : "changed";
  const lines = diffLines(linesOf(old, undefined), linesOf(young, old?.secret), CONTEXT_LINES).text;
  return lines.length === 0 ? [] : [{ object: name, change, lines }];
}

/** The lines of an object with the leaf's own names taken out, so that leaves can share them. */
function linesOf(object: ReadObject | undefined, secretBefore: YamlMap | undefined): string[] {
  if (object === undefined) return [];
  const { secret } = object;
  const text = secret === undefined ? object.text : stringify(hideValues(secret, secretBefore), { lineWidth: 0 });
  return text
    .trimEnd()
    .split("\n")
    .map((line) =>
      line.replace(OWN_LABEL, (_, label: string) => `${label}${label.includes(MODEL_LABEL) ? "<model>" : "<region>"}`),
    );
}

const OWN_LABEL = new RegExp(`^(\\s*(?:${REGION_LABEL}|${MODEL_LABEL}): ).*$`.replaceAll(".", "\\."));

function hideValues(secret: YamlMap, before: YamlMap | undefined): YamlMap {
  const hide = (field: "data" | "stringData"): YamlMap => {
    const [values, old] = [secret[field], asMap(before?.[field])];
    if (!isYamlMap(values)) return {};
    const hidden = Object.entries(values).map(([key, value]) => {
      const changed = Object.hasOwn(old, key) && old[key] !== value;
      return [key, changed ? "(hidden, changed)" : HIDDEN];
    });
    return { [field]: Object.fromEntries(hidden) };
  };
  return { ...secret, ...hide("data"), ...hide("stringData") };
}
