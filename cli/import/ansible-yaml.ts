/** An Ansible inventory in YAML to its groups. https://docs.ansible.com/ansible/latest/collections/ansible/builtin/yaml_inventory.html */
import { z } from "zod";
import { type FieldPath, formatPath, formatProblem } from "../../components/inventory/problems.ts";
import type { AnsibleHost, AnsibleSource, AnsibleVariable, Variables } from "./ansible-model.ts";
import { expandRange } from "./ranges.ts";
import { type ParsedSource, parseSource } from "./source.ts";

type VariableMap = Record<string, unknown>;

/** A group as it is written. Each part may be empty. */
interface GroupEntry {
  readonly hosts?: Record<string, VariableMap | null> | null | undefined;
  readonly children?: Record<string, GroupEntry | null> | null | undefined;
  readonly vars?: VariableMap | null | undefined;
}

const Vars = z.record(z.string(), z.unknown());
const Group: z.ZodType<GroupEntry> = z.lazy(() =>
  z.looseObject({
    hosts: z.record(z.string(), Vars.nullable()).nullish(),
    children: z.record(z.string(), Group.nullable()).nullish(),
    vars: Vars.nullish(),
  }),
);
const InventorySchema = z.record(z.string(), Group.nullable());

/** A group under construction: a name may be written in several places. */
interface OpenGroup {
  readonly name: string;
  readonly hosts: AnsibleHost[];
  readonly children: string[];
  readonly variables: Map<string, AnsibleVariable>;
}

/** @param file name for messages */
export function parseAnsibleYaml(file: string, text: string): AnsibleSource {
  const source = parseSource(file, text, InventorySchema);
  const groups = new Map<string, OpenGroup>();
  const problems = [...source.problems];
  for (const [name, group] of Object.entries(source.value ?? {}))
    addGroup(name, group, [name], { source, groups, problems });
  return { groups, problems };
}

interface Reading {
  readonly source: ParsedSource<unknown>;
  readonly groups: Map<string, OpenGroup>;
  readonly problems: string[];
}

function addGroup(name: string, entry: GroupEntry | null, path: FieldPath, reading: Reading): void {
  const { groups, problems, source } = reading;
  const group: OpenGroup = groups.get(name) ?? { name, hosts: [], children: [], variables: new Map() };
  groups.set(name, group);
  for (const [key, variable] of readVariables(entry?.vars, [...path, "vars"], source))
    group.variables.set(key, variable);
  for (const [pattern, variables] of Object.entries(entry?.hosts ?? {})) {
    const at = [...path, "hosts", pattern];
    const position = source.keyPosition(at);
    try {
      for (const host of expandRange(pattern))
        group.hosts.push({ name: host, position, variables: readVariables(variables, at, source) });
    } catch (error) {
      problems.push(formatProblem(position, formatPath(at), (error as Error).message));
    }
  }
  for (const [child, own] of Object.entries(entry?.children ?? {})) {
    group.children.push(child);
    addGroup(child, own, [...path, "children", child], reading);
  }
}

function readVariables(
  variables: VariableMap | null | undefined,
  path: FieldPath,
  { keyPosition, position, encrypted }: ParsedSource<unknown>,
): Variables {
  return new Map(
    Object.entries(variables ?? {}).map(([name, value]) => {
      const { line, column } = position([...path, name]);
      const own = { value, position: keyPosition([...path, name]), encrypted: encrypted.has(`${line}:${column}`) };
      return [name, own];
    }),
  );
}
