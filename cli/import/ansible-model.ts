/**
 * An Ansible inventory after parsing, whatever its format: groups with hosts, children and variables. Makes machines of
 * it: variables merged as Ansible does (all, then groups from the outside in, then the host), roles from the groups
 * that k3s-ansible uses. https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html and
 * https://github.com/k3s-io/k3s-ansible (inventory-sample.yml)
 */
import type { Position } from "../../components/inventory/index.ts";
import { formatProblem } from "../../components/inventory/problems.ts";
import { bareHost, type SourceHost, type SourceInventory, type SourceProxy } from "./host.ts";
import { LeftOutList } from "./left-out.ts";

/** A variable. */
export interface AnsibleVariable {
  readonly value: unknown;
  readonly position: Position;
  /** Encrypted by Ansible Vault. */
  readonly encrypted: boolean;
}

/** Variables by name. */
export type Variables = ReadonlyMap<string, AnsibleVariable>;

/** A host as a group lists it: one group may give it variables and another not. */
export interface AnsibleHost {
  readonly name: string;
  readonly position: Position;
  readonly variables: Variables;
}

/** A group. */
export interface AnsibleGroup {
  readonly name: string;
  readonly hosts: readonly AnsibleHost[];
  readonly children: readonly string[];
  readonly variables: Variables;
}

/** Every group by its name. */
export type AnsibleGroups = ReadonlyMap<string, AnsibleGroup>;

/** An inventory file after parsing. */
export interface AnsibleSource {
  /** `all` may be missing. */
  readonly groups: AnsibleGroups;
  /** What could not be read, with its place. */
  readonly problems: readonly string[];
}

/** Groups whose hosts run a control plane: k3s-ansible's own, its old ones, and their plurals. */
const SERVER_GROUPS = [
  "server",
  "servers",
  "master",
  "masters",
  "k3s_server",
  "k3s_master",
  "kube_master",
  "kube_control_plane",
  "control_plane",
];
/** Groups whose hosts join one. */
const AGENT_GROUPS = ["agent", "agents", "node", "nodes", "worker", "workers", "k3s_agent", "k3s_node", "kube_node"];
/** Groups that say nothing: Ansible's own, and those around the two of k3s-ansible and of kubespray. */
const SILENT_GROUPS = ["all", "ungrouped", "k3s_cluster", "k8s_cluster"];
/** kubespray's group of the host through which it reaches the others (docs/ansible/inventory.md, "Bastion host"). */
const BASTION_GROUP = "bastion";
/** kubespray's, for which it runs kubeadm. */
const KUBESPRAY_GROUP = "kube_control_plane";

/** Variables that are read. The second name is the one before Ansible 2.0. */
const READ = {
  address: ["ansible_host", "ansible_ssh_host"],
  user: ["ansible_user", "ansible_ssh_user"],
  port: ["ansible_port", "ansible_ssh_port"],
  arguments: ["ansible_ssh_common_args", "ansible_ssh_extra_args"],
  version: ["k3s_version"],
  connection: ["ansible_connection"],
} as const;
const READ_NAMES: readonly string[] = Object.values(READ).flat();

const FIXES: readonly (readonly [RegExp, string])[] = [
  [/^ansible_(ssh_)?private_key_file$/, "load the key into the SSH agent: ssh-add"],
  [/^ansible_become/, "edge-fleet needs root, or a user with password-less sudo"],
  [/^ansible_/, "edge-fleet needs no Python and no Ansible on the device"],
  [
    /^(extra_)?(server|agent)_(args|config_yaml)$|^extra_(server|agent)_args$/,
    "see the settings k3s, kubelet and security in docs/inventory.md",
  ],
  [/^registries_config_yaml$/, "see the setting registries"],
  [/^airgap_dir$/, "see artifacts.images and artifacts.delivery"],
  [/^(access_)?ip$/, "see network.nodeIp and network.interface"],
  [/^extra_manifests$/, "put them into base/ of the GitOps tree"],
];

/** @param groups `all` may be missing */
export function readAnsible(groups: AnsibleGroups): SourceInventory {
  const problems: string[] = [];
  const notes: string[] = [];
  const left = new LeftOutList();
  const hosts = gatherHosts(groups);
  const everyHost = [...hosts.values()].flatMap((host) => readHost(host, groups, problems, notes));
  const machines = throughBastion(everyHost, ({ name }) => hosts.get(name)?.groups.has(BASTION_GROUP) === true, notes);
  const roleOf = ({ name }: SourceHost): "server" | "agent" | "none" => {
    const own = hosts.get(name)?.groups ?? new Set();
    if (SERVER_GROUPS.some((group) => own.has(group))) return "server";
    return AGENT_GROUPS.some((group) => own.has(group)) ? "agent" : "none";
  };
  const servers = machines.filter((host) => roleOf(host) === "server");
  const agents = machines.filter((host) => roleOf(host) === "agent");
  const [first] = servers;
  if (servers.length > 1)
    notes.push(
      `${servers.length} servers were one cluster; here each is a cluster of its own${agents.length > 0 ? `, and the agents join ${first?.name}` : ""}`,
    );
  if (first === undefined && agents.length > 0)
    notes.push("no server group was found, so that each host becomes a cluster of its own");
  const others = machines.filter((host) => roleOf(host) === "none");
  const joined = agents.map((host) => ({ ...host, server: first?.name }));
  noteGroups(groups, notes);
  if (groups.has(KUBESPRAY_GROUP))
    notes.push("what kubespray has installed is not taken over: run its reset.yml on the machines before up");
  gatherLeftOut(groups, left);
  return { hosts: [...servers, ...joined, ...others], problems, leftOut: left.fields, secrets: left.secrets, notes };
}

/** Machines without the bastion, which is the jump host of those that have none of their own. */
function throughBastion(
  hosts: readonly SourceHost[],
  isBastion: (host: SourceHost) => boolean,
  notes: string[],
): readonly SourceHost[] {
  const bastion = hosts.find(isBastion);
  if (bastion === undefined) return hosts;
  const { name, address, port, user } = bastion;
  notes.push(`${name} is the jump host of the others, and no device`);
  const proxy = { host: address, port, user };
  return hosts.filter((host) => !isBastion(host)).map((host) => ({ ...host, proxy: host.proxy ?? proxy }));
}

interface GatheredHost {
  readonly name: string;
  readonly position: Position;
  readonly variables: Map<string, AnsibleVariable>;
  /** Names of its groups and of the groups around those. */
  readonly groups: Set<string>;
}

function gatherHosts(groups: AnsibleGroups): Map<string, GatheredHost> {
  const parents = new Map<string, string[]>();
  for (const { name, children } of groups.values())
    for (const child of children) parents.set(child, [...(parents.get(child) ?? []), name]);
  const hosts = new Map<string, GatheredHost>();
  for (const group of groups.values()) {
    const around = ancestors(group.name, parents);
    for (const { name, position, variables } of group.hosts) {
      const known = hosts.get(name) ?? { name, position, variables: new Map(), groups: new Set() };
      for (const each of around) known.groups.add(each);
      for (const [key, variable] of variables) known.variables.set(key, variable);
      hosts.set(name, known);
    }
  }
  return hosts;
}

/** The group and all around it. A ring of groups, which Ansible refuses, ends where it closes. */
function ancestors(
  group: string,
  parents: ReadonlyMap<string, readonly string[]>,
  seen = new Set<string>(),
): Set<string> {
  if (seen.has(group)) return seen;
  seen.add(group);
  for (const parent of parents.get(group) ?? []) ancestors(parent, parents, seen);
  return seen;
}

/** Variables of a host: `all`, then groups from the outermost to the innermost and by name, then its own. */
function mergedVariables(host: GatheredHost, groups: AnsibleGroups): Map<string, AnsibleVariable> {
  const depths = new Map([...host.groups].map((name) => [name, depthOf(name, groups)]));
  const ordered = [...host.groups]
    .filter((name) => name !== "all")
    .sort((a, b) => (depths.get(a) ?? 0) - (depths.get(b) ?? 0) || (a < b ? -1 : 1));
  const merged = new Map<string, AnsibleVariable>();
  for (const name of ["all", ...ordered])
    for (const [key, variable] of groups.get(name)?.variables ?? []) merged.set(key, variable);
  for (const [key, variable] of host.variables) merged.set(key, variable);
  return merged;
}

function depthOf(group: string, groups: AnsibleGroups, seen: readonly string[] = []): number {
  if (seen.includes(group)) return 0;
  const parents = [...groups.values()].filter(({ children }) => children.includes(group));
  return parents.reduce((deepest, { name }) => Math.max(deepest, 1 + depthOf(name, groups, [...seen, group])), 0);
}

function readHost(host: GatheredHost, groups: AnsibleGroups, problems: string[], notes: string[]): SourceHost[] {
  const variables = mergedVariables(host, groups);
  const text = (names: readonly string[]): { text: string; position: Position; name: string } | undefined => {
    for (const name of names) {
      const variable = variables.get(name);
      if (variable === undefined || variable.value === null) continue;
      const found = String(variable.value);
      if (!variable.encrypted && !found.includes("{{")) return { text: found, position: variable.position, name };
      problems.push(
        formatProblem(variable.position, `${host.name}.${name}`, "is a template or encrypted - write the plain value"),
      );
    }
    return undefined;
  };
  if (text(READ.connection)?.text === "local") {
    notes.push(`${host.name} has ansible_connection=local: it is the workstation and left out`);
    return [];
  }
  const port = text(READ.port);
  if (port !== undefined && !/^\d{1,5}$/.test(port.text))
    problems.push(formatProblem(port.position, `${host.name}.${port.name}`, "is not a port - write a whole number"));
  const version = text(READ.version)?.text ?? "";
  const bare = bareHost(host.name, text(READ.address)?.text ?? host.name, host.position, host.name);
  return [
    {
      ...bare,
      user: text(READ.user)?.text,
      port: port === undefined ? undefined : Number(port.text),
      proxy: readProxy(host.name, text(READ.arguments), problems),
      fields: /^v\d+\.\d+\.\d+\+k3s\d+$/.test(version) ? { "k3s.version": version } : {},
    },
  ];
}

/** `-J user@host:port` or `-o ProxyJump=…`; other ways through a jump host cannot be pinned. */
function readProxy(
  host: string,
  found: { text: string; position: Position; name: string } | undefined,
  problems: string[],
): SourceProxy | undefined {
  if (found === undefined || !/proxy|-J/i.test(found.text)) return undefined;
  const jump =
    /(?:-J\s*|ProxyJump[=\s]+)["']?(?:([^\s@"']+)@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(?::(\d+))?["']?(?=\s|$)/.exec(
      found.text,
    );
  if (jump === null) {
    const fix = "write it as `-o ProxyJump=user@host:port`";
    problems.push(
      formatProblem(found.position, `${host}.${found.name}`, `goes through a proxy that cannot be read - ${fix}`),
    );
    return undefined;
  }
  const [, user, name = "", port] = jump;
  return { host: name.replace(/^\[|\]$/g, ""), port: port === undefined ? undefined : Number(port), user };
}

function noteGroups(groups: AnsibleGroups, notes: string[]): void {
  const known = [...SERVER_GROUPS, ...AGENT_GROUPS, ...SILENT_GROUPS, BASTION_GROUP];
  const others = [...groups.keys()].filter((name) => !known.includes(name));
  if (others.length > 0)
    notes.push(
      `groups are no part of the inventory: ${others.join(", ")} - use labels, rings or regions where they matter`,
    );
}

function gatherLeftOut(groups: AnsibleGroups, left: LeftOutList): void {
  for (const { hosts, variables } of groups.values()) {
    for (const own of [variables, ...hosts.map((host) => host.variables)]) {
      for (const [name, { position, encrypted }] of own) {
        if (READ_NAMES.includes(name)) continue;
        const fix = FIXES.find(([pattern]) => pattern.test(name))?.[1] ?? "edge-fleet has no use for it";
        left.add(name, name, position, fix, encrypted);
      }
    }
  }
}
