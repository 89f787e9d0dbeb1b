/**
 * A YAML or JSON source from its text to a checked value whose fields can be pointed to. JSON is read as the YAML that it
 * also is, so that both have positions.
 */
import { type Document, isMap, isNode, LineCounter, parseAllDocuments, visit } from "yaml";
import type { z } from "zod";
import type { Position } from "../../components/inventory/index.ts";
import {
  describeIssue,
  type FieldPath,
  formatPath,
  formatProblem,
  locate,
} from "../../components/inventory/problems.ts";

/** A source that was read. */
export interface ParsedSource<T> {
  /** Absent when there are problems. */
  readonly value: T | undefined;
  readonly problems: readonly string[];
  /** Position of a value. */
  position(path: FieldPath): Position;
  /** Position of a key. */
  keyPosition(path: FieldPath): Position;
  /** Positions of values that Ansible Vault encrypted, as `line:column`. */
  readonly encrypted: ReadonlySet<string>;
}

/**
 * Parses one document of a file.
 * @param file name for messages
 * @param schema what is read; it must let unknown fields pass
 * @param kind of several documents, take the one whose field `kind` says so, in lower case: k0sctl takes any (cmd/flags.go)
 */
export function parseSource<S extends z.ZodType>(
  file: string,
  text: string,
  schema: S,
  kind?: string,
): ParsedSource<z.output<S>> {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const documents = Array.isArray(parsed) ? (parsed as Document[]) : [];
  const document =
    documents.find(({ contents }) => isMap(contents) && String(contents.get("kind")).toLowerCase() === kind) ??
    documents[0];
  const at = (line: number, column: number): Position => ({ file, line, column });
  const nothing = {
    value: undefined,
    position: () => at(1, 1),
    keyPosition: () => at(1, 1),
    encrypted: new Set<string>(),
  };
  if (document === undefined)
    return { ...nothing, problems: [formatProblem(at(1, 1), "(file)", "is empty - give the inventory itself")] };
  const position = (path: FieldPath) => locate(file, document, lines, path);
  const keyPosition = (path: FieldPath) => locate(file, document, lines, path, true);
  const problems = document.errors.slice(0, 1).map(({ pos, code }) => {
    const { line, col } = lines.linePos(pos[0]);
    return formatProblem(at(line, col), "(syntax)", `is not valid YAML or JSON (${code}) - fix the syntax`);
  });
  if (problems.length > 0) return { ...nothing, problems };
  const result = schema.safeParse(document.toJS({ maxAliasCount: 100 }), { reportInput: true });
  if (result.success)
    return { value: result.data, problems: [], position, keyPosition, encrypted: encryptedValues(document, lines) };
  const described = result.error.issues.flatMap((issue) =>
    describeIssue(issue, () => []).map(({ path, message }) => formatProblem(position(path), formatPath(path), message)),
  );
  return { ...nothing, problems: described };
}

function encryptedValues(document: Document, lines: LineCounter): Set<string> {
  const found = new Set<string>();
  visit(document, {
    Node(_, node) {
      if (!isNode(node) || node.tag !== "!vault" || !node.range) return;
      const { line, col } = lines.linePos(node.range[0]);
      found.add(`${line}:${col}`);
    },
  });
  return found;
}
