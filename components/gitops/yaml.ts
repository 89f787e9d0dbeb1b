/**
 * Plain objects to the bytes of an emitted YAML file: a comment block, then the value, in the order of its keys, with
 * LF line ends and no wrapping. Every string stays a string for YAML 1.1 and 1.2 readers alike.
 */
import { Document, visit } from "yaml";

/** Formats objects as the documents of one file. @param comment lines above the first, without `#` */
export function formatObjects(comment: readonly string[], objects: readonly unknown[]): string {
  return objects.map((object, index) => formatYaml(index === 0 ? comment : [], object)).join("---\n");
}

/**
 * Formats one file.
 * @param comment lines of the header, without `#`
 * @param value plain data; keys keep their order
 */
export function formatYaml(comment: readonly string[], value: unknown): string {
  // Kubernetes and kustomize read YAML with 1.1 rules (`no` is false), plus 1.2 numbers such as 0o17: quote for both.
  const document = new Document(value, { version: "1.1", aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === "string" && /^[-+.0-9]/.test(node.value) && !node.value.includes("\n"))
        node.type = "QUOTE_DOUBLE";
    },
  });
  const header = comment.map((line) => `# ${line}\n`).join("");
  return header + document.toString({ lineWidth: 0, indentSeq: true });
}
