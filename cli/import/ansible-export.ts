/**
 * Variables that stand beside an Ansible inventory, in group_vars and host_vars: read by Ansible itself, which knows its order
 * of precedence and its vault, and put into the groups of the inventory with the places where they were written.
 */
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Position } from "../../components/inventory/index.ts";
import { formatProblem } from "../../components/inventory/problems.ts";
import { type RunResult, runProgram } from "../process.ts";
import type { AnsibleGroup, AnsibleGroups, AnsibleVariable, Variables } from "./ansible-model.ts";

const FOLDERS = ["group_vars", "host_vars"] as const;
const TIMEOUT_MS = 60_000;
/** An inventory of thousands of hosts; what is longer is refused. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** What Ansible said. */
export interface AnsibleExport {
  /** The inventory with all its variables, in Ansible's YAML. Undefined: nobody had to be, or could be, asked. */
  readonly text: string | undefined;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** Asks `ansible-inventory`, where there are such folders beside the inventory. https://docs.ansible.com/ansible/latest/cli/ansible-inventory.html */
export async function exportAnsible(file: string): Promise<AnsibleExport> {
  const folders = FOLDERS.map((name) => join(dirname(file), name)).filter((path) => existsSync(path));
  const nothing = { text: undefined, problems: [], notes: [] };
  if (folders.length === 0) return nothing;
  const names = folders.join(" and ");
  const args = ["--inventory", file, "--list", "--yaml", "--export"];
  const bounds = { timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_OUTPUT_BYTES };
  const asked = await runProgram("ansible-inventory", args, { ...bounds, environment: { LC_ALL: utf8Locale() } });
  if (asked.exitCode === 0) return { ...nothing, text: asked.stdout };
  if (isMissing(asked))
    return {
      ...nothing,
      notes: [
        `${names}: not read, since ansible-inventory is not installed here - install it, or give what they say by --user and --port`,
      ],
    };
  const fix = `run it by hand: ansible-inventory ${args.join(" ")}`;
  const position = { file, line: 1, column: 1 };
  return {
    ...nothing,
    problems: [formatProblem(position, names, `cannot be read by Ansible: ${reasonOf(asked)} - ${fix}`)],
  };
}

/** Ansible refuses to start without UTF-8 (lib/ansible/cli/__init__.py, initialize_locale). Undefined: `LANG` says it. */
function utf8Locale(): string | undefined {
  const { LC_ALL, LANG } = process.env;
  return /utf-?8/i.test(LC_ALL ?? LANG ?? "") ? LC_ALL : "C.UTF-8";
}

function isMissing({ exitCode, stderr }: RunResult): boolean {
  return exitCode === undefined && /ENOENT/.test(stderr);
}

/** The line in which Ansible says why. */
function reasonOf({ stderr, ended }: RunResult): string {
  if (ended !== undefined) return `ansible-inventory was ended (${ended})`;
  return /^ERROR!? ?:? ?(.*)$/m.exec(stderr)?.[1] ?? "ansible-inventory failed";
}

/**
 * Groups of an inventory with the variables of its export, which knows no lines and orders by name.
 * @param own as the inventory says it
 * @param exported as Ansible says it
 */
export function withExported(file: string, own: AnsibleGroups, exported: AnsibleGroups): AnsibleGroups {
  const hostVariables = new Map<string, Variables>();
  for (const { name, variables } of [...exported.values()].flatMap(({ hosts }) => hosts))
    hostVariables.set(name, new Map([...(hostVariables.get(name) ?? []), ...variables]));
  const place = placesBeside(file);
  const placed = (variables: Variables, known: Variables, folder: string, owner: string): Variables =>
    new Map(
      [...variables].map(([name, variable]): [string, AnsibleVariable] => {
        const position = place(folder, owner, name) ?? known.get(name)?.position ?? { file, line: 1, column: 1 };
        return [name, { ...variable, position }];
      }),
    );
  const groups = new Map([["all", { name: "all", hosts: [], children: [], variables: new Map() }], ...own]);
  return new Map(
    [...groups].map(([name, group]): [string, AnsibleGroup] => [
      name,
      {
        ...group,
        variables: placed(exported.get(name)?.variables ?? new Map(), group.variables, "group_vars", name),
        hosts: group.hosts.map((host) => ({
          ...host,
          variables: placed(hostVariables.get(host.name) ?? new Map(), host.variables, "host_vars", host.name),
        })),
      },
    ]),
  );
}

/** What lies beside an inventory and belongs to no group and no host of it: Ansible does not read that either. */
export function notesOnOthers(file: string, groups: AnsibleGroups): string[] {
  const hosts = [...groups.values()].flatMap((group) => group.hosts.map(({ name }) => name));
  const known = { group_vars: ["all", "ungrouped", ...groups.keys()], host_vars: hosts };
  return FOLDERS.flatMap((folder) => {
    const path = join(dirname(file), folder);
    const others = globSync("*", { cwd: path }).filter(
      (name) => !known[folder].includes(name.replace(/\.(ya?ml|json)$/, "")),
    );
    const missing = folder === "group_vars" ? "group" : "host";
    return others.sort().map((name) => `${join(path, name)}: not read, since the inventory has no such ${missing}`);
  });
}

type PlaceOf = (folder: string, owner: string, variable: string) => Position | undefined;

/** Where a variable stands: a file of its group's or host's name, or any file in a folder of that name. */
function placesBeside(file: string): PlaceOf {
  const files = new Map<string, ReadonlyMap<string, Position>>();
  return (folder, owner, variable) => {
    const path = join(dirname(file), folder, owner);
    const places = files.get(path) ?? readPlaces(path);
    files.set(path, places);
    return places.get(variable);
  };
}

function readPlaces(path: string): ReadonlyMap<string, Position> {
  const beside = ["", ".yml", ".yaml", ".json"].map((end) => `${path}${end}`);
  const found = [...beside, ...globSync("**/*", { cwd: path }).map((name) => join(path, name))].filter((name) =>
    statSync(name, { throwIfNoEntry: false })?.isFile(),
  );
  return new Map(
    found.flatMap((name) =>
      readFileSync(name, "utf8")
        .split("\n")
        .flatMap((line, index): [string, Position][] => {
          const [, variable] = /^["']?([A-Za-z_]\w*)["']?\s*:/.exec(line) ?? [];
          return variable === undefined ? [] : [[variable, { file: name, line: index + 1, column: 1 }]];
        }),
    ),
  );
}
