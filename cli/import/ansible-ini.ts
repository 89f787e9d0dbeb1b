/**
 * An Ansible inventory in its INI format to its groups: `[group]`, `[group:children]`, `[group:vars]`, host lines with
 * `key=value`. https://docs.ansible.com/ansible/latest/collections/ansible/builtin/ini_inventory.html
 */
import type { Position } from "../../components/inventory/index.ts";
import { formatProblem } from "../../components/inventory/problems.ts";
import type { AnsibleHost, AnsibleSource, AnsibleVariable } from "./ansible-model.ts";
import { expandRange } from "./ranges.ts";

interface OpenGroup {
  readonly name: string;
  readonly hosts: AnsibleHost[];
  readonly children: string[];
  readonly variables: Map<string, AnsibleVariable>;
}

interface Section {
  readonly group: OpenGroup;
  readonly kind: "hosts" | "children" | "vars";
}

/** @param file name for messages */
export function parseAnsibleIni(file: string, text: string): AnsibleSource {
  const groups = new Map<string, OpenGroup>();
  const problems: string[] = [];
  const groupOf = (name: string): OpenGroup => {
    const group: OpenGroup = groups.get(name) ?? { name, hosts: [], children: [], variables: new Map() };
    groups.set(name, group);
    return group;
  };
  let section: Section = { group: groupOf("ungrouped"), kind: "hosts" };
  for (const [index, line] of text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .entries()) {
    const content = line.trim();
    const position = { file, line: index + 1, column: line.length - line.trimStart().length + 1 };
    if (content === "" || /^[#;]/.test(content)) continue;
    const header = /^\[([^\]:]+)(?::(children|vars))?\]\s*(?:[#;].*)?$/.exec(content);
    if (header !== null) section = { group: groupOf(header[1] ?? ""), kind: (header[2] as Section["kind"]) ?? "hosts" };
    else readLine(content, section, position, problems);
    if (header?.[2] === undefined && section.kind === "children") groupOf(content.split(/\s/)[0] ?? "");
  }
  return { groups, problems };
}

function readLine(content: string, { group, kind }: Section, position: Position, problems: string[]): void {
  try {
    if (kind === "children") group.children.push(content.split(/\s/)[0] ?? "");
    else if (kind === "vars") {
      const [, name, value] = /^([^=\s]+)\s*=\s*(.*)$/.exec(content) ?? [];
      if (name === undefined) throw new Error("is no variable - write name=value");
      group.variables.set(name, { value: unquote(value ?? ""), position, encrypted: false });
    } else group.hosts.push(...readHosts(content, position));
  } catch (error) {
    problems.push(
      formatProblem(position, `[${group.name}${kind === "hosts" ? "" : `:${kind}`}]`, (error as Error).message),
    );
  }
}

function readHosts(content: string, position: Position): AnsibleHost[] {
  const [pattern = "", ...words] = splitWords(content);
  const variables = new Map<string, AnsibleVariable>();
  const port = /^([^:]+|.*\].*):(\d+)$/.exec(pattern);
  if (port !== null) variables.set("ansible_port", { value: port[2], position, encrypted: false });
  for (const word of words) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
    if (name === undefined) throw new Error("has a word that is no name=value behind the host - fix the line");
    variables.set(name, { value, position, encrypted: false });
  }
  return expandRange(port?.[1] ?? pattern).map((name) => ({ name, position, variables }));
}

/** Words as a shell splits them, up to a comment. */
function splitWords(line: string): string[] {
  const words: string[] = [];
  const pattern = /\s*(#.*$|(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+)/gy;
  let end = 0;
  for (const match of line.matchAll(pattern)) {
    end = match.index + match[0].length;
    const word = match[1] ?? "";
    if (word.startsWith("#")) break;
    words.push(
      word.replace(
        /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g,
        (_, double?: string, single?: string, escaped?: string) =>
          double?.replace(/\\(.)/g, "$1") ?? single ?? escaped ?? "",
      ),
    );
  }
  if (line.slice(end).trim() !== "" && !line.slice(0, end).includes("#"))
    throw new Error("has a quote that never closes - fix the line");
  return words;
}

function unquote(value: string): string {
  return /^(["']).*\1$/s.test(value) ? value.slice(1, -1) : value;
}
