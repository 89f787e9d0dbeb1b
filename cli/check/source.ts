/**
 * Reads the files of a tree as people write them, with positions, and finds the problems that need no kustomize: broken
 * YAML and keys that are there twice, remote bases, plaintext Secrets.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { type Document, LineCounter, parseAllDocuments } from "yaml";
import { type FieldPath, formatPath, locate } from "../../components/inventory/problems.ts";
import { KUSTOMIZATIONS } from "../manifests/kustomize.ts";
import { asList, isYamlMap, itemsOf, type TreeProblem, type YamlMap } from "../manifests/objects.ts";
import { isRemote, pathsOf, plaintextOf } from "./rules.ts";

/** One YAML document of a file. */
export interface SourceDocument {
  /** Path below the tree. */
  readonly path: string;
  /** Its value; undefined when the file is not valid YAML. */
  readonly value: unknown;
  /** Problem at a field. */
  problem(rule: TreeProblem["rule"], field: FieldPath, message: string): TreeProblem;
}

/** What the files hold. */
export interface TreeSource {
  readonly documents: readonly SourceDocument[];
  /** Files that are not valid YAML. */
  readonly problems: readonly TreeProblem[];
}

/** Folders that hold no manifests for devices, or only what is rendered from the others. */
const FOREIGN = new Set([".fleet-write", ".git", "applicationsets", "entry", "rendered", "rings", "rollout"]);

/**
 * Reads every YAML and JSON file of a tree. Symbolic links are not followed.
 * @param directory the tree's folder
 * @param charts folders below it that are charts, whose templates are no YAML. Default: none
 */
export function readTreeSource(directory: string, charts: readonly string[] = []): TreeSource {
  const isTemplate = (path: string) =>
    charts.some((chart) => /^(templates|charts)\//.test(posix.relative(chart, path)));
  const documents: SourceDocument[] = [];
  const problems: TreeProblem[] = [];
  for (const path of listFiles(directory, "").filter((file) => !isTemplate(file))) {
    const file = posix.join(directory, path);
    const lines = new LineCounter();
    const parsed = parseAllDocuments(readFileSync(join(directory, path), "utf8"), {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: true,
      // Kubernetes and kustomize read YAML with 1.1 rules.
      version: "1.1",
    });
    for (const document of Array.isArray(parsed) ? parsed : []) {
      // A broken JSON file is data of a workload rather than a manifest.
      if (!path.endsWith(".json")) problems.push(...syntaxProblems(file, document, lines));
      documents.push(sourceDocument(path, file, document, lines));
    }
  }
  return { documents, problems };
}

/** True for the file that makes a folder a kustomization. */
export function isKustomization({ path }: SourceDocument): boolean {
  return KUSTOMIZATIONS.includes(posix.basename(path));
}

/** Problems that need nothing but the files. @param directory the tree's folder */
export function checkSource(directory: string, { documents, problems }: TreeSource): TreeProblem[] {
  return [
    ...problems,
    ...documents.flatMap((document) => {
      if (!isYamlMap(document.value)) return [];
      return isKustomization(document)
        ? [...checkReferences(directory, document, document.value), ...checkGenerators(document, document.value)]
        : checkSecrets(document);
    }),
  ];
}

function listFiles(directory: string, below: string): string[] {
  return readdirSync(join(directory, below), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = posix.join(below, entry.name);
      if (entry.isDirectory()) return below === "" && FOREIGN.has(entry.name) ? [] : listFiles(directory, path);
      const wanted = /\.(ya?ml|json)$/.test(entry.name) || KUSTOMIZATIONS.includes(entry.name);
      return entry.isFile() && wanted && entry.name !== ".fleet-manifest.json" ? [path] : [];
    });
}

function sourceDocument(path: string, file: string, document: Document, lines: LineCounter): SourceDocument {
  let value: unknown;
  try {
    value = document.errors.length > 0 ? undefined : document.toJS({ maxAliasCount: 100 });
  } catch {
    value = undefined;
  }
  return {
    path,
    value,
    problem: (rule, field, message) => {
      const { line, column } = locate(file, document, lines, field);
      return { rule, file, line, column, where: formatPath(field), message };
    },
  };
}

function syntaxProblems(file: string, { errors }: Document, lines: LineCounter): TreeProblem[] {
  return errors.map(({ code, message, pos }) => {
    const { line, col } = lines.linePos(pos[0]);
    const what =
      code === "DUPLICATE_KEY"
        ? "the key is there twice, the last one would win silently - delete one"
        : `${message} - fix the syntax`;
    const place = { file, line: Math.max(line, 1), column: Math.max(col, 1), where: "(yaml)" };
    return { rule: "yaml", ...place, message: what };
  });
}

/** Argo CD fetches remote bases past the project's list of repositories, and not at all without a network. */
function checkReferences(directory: string, document: SourceDocument, kustomization: YamlMap): TreeProblem[] {
  const charts = ["helmCharts", "helmChartInflationGenerator"]
    .filter((field) => asList(kustomization[field]).length > 0)
    .map((field) =>
      document.problem("remote-base", [field], "fetches a chart where it is rendered - commit the rendered manifests"),
    );
  const references = pathsOf(kustomization).flatMap(({ path, value }) => {
    // Of a generator's `key=file` the file counts.
    const reference = /(Map|secret)Generator$/.test(String(path[0])) ? value.replace(/^[^=/]+=/, "") : value;
    const reason = refuseReference(directory, document.path, reference);
    return reason === undefined ? [] : [document.problem("remote-base", path, `${value} ${reason}`)];
  });
  return [...charts, ...references];
}

/** Why a kustomization may not refer to this; undefined when it may. @param from its path below the tree */
function refuseReference(directory: string, from: string, reference: string): string | undefined {
  if (isRemote(reference)) return "is fetched from elsewhere - copy it below the tree and refer to the copy";
  const target = posix.normalize(posix.join(posix.dirname(from), reference));
  if (posix.isAbsolute(reference) || target === ".." || target.startsWith("../"))
    return `leaves the folder of the tree - move it below ${directory}`;
  return existsSync(join(directory, target)) ? undefined : "does not exist - create it, or remove the line";
}

/** A Secret's generator keeps its values beside it, in the clear. */
function checkGenerators(document: SourceDocument, kustomization: YamlMap): TreeProblem[] {
  const message = `makes a Secret of values in the repository - ${SECRET_FIX}`;
  return asList(kustomization.secretGenerator).map((_, index) =>
    document.problem("secret", ["secretGenerator", index], message),
  );
}

const SECRET_FIX = "commit a SealedSecret or encrypt it with SOPS";

function checkSecrets(document: SourceDocument): TreeProblem[] {
  const message = `a Secret stands in the repository in the clear - ${SECRET_FIX}`;
  return itemsOf(document.value).flatMap(({ path, value }) =>
    plaintextOf(value)
      .slice(0, 1)
      .map((first) => document.problem("secret", [...path, ...first], message)),
  );
}
