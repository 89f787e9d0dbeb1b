/**
 * A `k0sctl.yaml` to machines: hosts with their SSH connection and bastion, each a cluster of its own.
 * https://github.com/k0sproject/k0sctl (README.md, "Configuration file spec fields")
 */
import { z } from "zod";
import type { Position } from "../../components/inventory/index.ts";
import { formatProblem } from "../../components/inventory/problems.ts";
import { bareHost, type SourceHost, type SourceInventory, type SourceProxy } from "./host.ts";
import { generalPath, isSecretName, LeftOutList, leafPaths } from "./left-out.ts";
import { type ParsedSource, parseSource } from "./source.ts";

const Port = z.int().min(1).max(65535).optional();
const Connection = z.looseObject({ address: z.string().min(1), user: z.string().min(1).optional(), port: Port });
const Host = z.looseObject({
  role: z.enum(["controller", "worker", "controller+worker", "single", "server", "server+worker"]).optional(),
  hostname: z.string().optional(),
  reset: z.boolean().optional(),
  privateInterface: z.string().optional(),
  privateAddress: z.string().optional(),
  ssh: Connection.extend({ bastion: Connection.optional() }).optional(),
  openSSH: Connection.optional(),
});
const ClusterSchema = z.looseObject({
  spec: z.looseObject({
    hosts: z.array(Host).min(1, "has no host"),
    k0s: z.looseObject({ version: z.union([z.string(), z.number()]).optional() }).nullish(),
  }),
});
type K0sctlHost = z.infer<typeof Host>;
type HostConnection = z.infer<typeof Connection>;

const READ =
  /^(apiVersion|kind|metadata\.name|spec\.k0s\.version|spec\.hosts\[\]\.(role|hostname|reset|privateInterface|privateAddress|(ssh|openSSH)\.(address|user|port)|ssh\.bastion\.(address|user|port)))$/;

/** Whole branches that are named once, and what to use instead. */
const BRANCHES: readonly (readonly [RegExp, string])[] = [
  [/^spec\.hosts\[\]\.(ssh|openSSH)(\.bastion)?\.keyPath$/, "load the key into the SSH agent: ssh-add"],
  [/^spec\.hosts\[\]\.openSSH\.configPath$/, "write the address, user and port that it gives for the host"],
  [/^spec\.hosts\[\]\.(files|hooks|environment)/, "edge-fleet runs no hooks: put it into the machine's image"],
  [
    /^spec\.hosts\[\]\.(installFlags|noTaints|dataDir|kubeletRootDir|os)/,
    "see the settings k0s and kubelet in docs/inventory.md",
  ],
  [/^spec\.hosts\[\]\.(uploadBinary|k0sBinaryPath|k0sDownloadURL)/, "see artifacts.delivery and artifacts.mirror"],
  [/^spec\.k0s\.config/, "see the settings k0s, network and security in docs/inventory.md"],
  [/^spec\.(options|k0s\.(dynamicConfig|versionChannel))/, "edge-fleet has its own: see docs/inventory.md"],
];
const OTHER = "edge-fleet has no use for it";

/** @param file name for messages */
export function parseK0sctl(file: string, text: string): SourceInventory {
  const source = parseSource(file, text, ClusterSchema, "cluster");
  const { value } = source;
  if (value === undefined) return { hosts: [], problems: source.problems, leftOut: [], secrets: [], notes: [] };
  const problems: string[] = [];
  const notes: string[] = [];
  const nameOf = hostNames(value.spec.hosts);
  const hosts = value.spec.hosts.flatMap((host, index) => {
    const entry = readHost(host, index, { source, problems, nameOf });
    if (entry !== undefined && host.reset === true) notes.push(`${entry.name} is to be reset (reset: true): left out`);
    return entry === undefined || host.reset === true ? [] : [entry];
  });
  if (hosts.length > 1)
    notes.push(
      `${hosts.length} hosts were one cluster; here each is a cluster of its own, since nobody joins a K0s that runs as a single node - use distribution: k3s and joins for machines of one cluster`,
    );
  const fields = versionFields(value.spec.k0s?.version);
  if (fields["k0s.version"] === undefined)
    notes.push("the file pins no k0s release in figures: set k0s.version in fleet.yaml, the model or the region");
  const left = leftOver(value, source);
  return {
    hosts: hosts.map((host) => ({ ...host, fields: { distribution: "k0s", ...fields, ...host.fields } })),
    ...{ problems, leftOut: left.fields, secrets: left.secrets, notes },
  };
}

/** Names of hosts: their own, else the address, with the port where several hosts have that address. */
function hostNames(hosts: readonly K0sctlHost[]): (host: K0sctlHost, connection: HostConnection) => string {
  const addresses = hosts.flatMap(({ hostname, ssh, openSSH }) =>
    hostname === undefined ? ((ssh ?? openSSH)?.address ?? []) : [],
  );
  const shared = new Set(addresses.filter((address, index) => addresses.indexOf(address) !== index));
  return ({ hostname }, { address, port = 22 }) => hostname ?? (shared.has(address) ? `${address}:${port}` : address);
}

interface HostReading {
  readonly source: ParsedSource<unknown>;
  readonly problems: string[];
  readonly nameOf: ReturnType<typeof hostNames>;
}

function readHost(
  host: K0sctlHost,
  index: number,
  { source: { position }, problems, nameOf }: HostReading,
): SourceHost | undefined {
  const path = `spec.hosts[${index}]`;
  const own = ["spec", "hosts", index];
  const connection = host.ssh ?? host.openSSH;
  const refuse = (at: Position, field: string, message: string): undefined => {
    problems.push(formatProblem(at, field, message));
    return undefined;
  };
  if (connection === undefined)
    return refuse(
      position(own),
      path,
      "has no ssh or openSSH connection - edge-fleet reaches devices over SSH alone, remove the host",
    );
  const protocol = host.ssh === undefined ? "openSSH" : "ssh";
  // k0sctl substitutes $NAME and ${NAME} from its environment.
  const variables = (["address", "user"] as const).filter((field) => connection[field]?.includes("$"));
  for (const field of variables)
    refuse(position([...own, protocol, field]), `${path}.${protocol}.${field}`, `is a variable - write the ${field}`);
  if (variables.length > 0) return undefined;
  const fields = {
    ...(host.privateInterface === undefined ? {} : { "network.interface": host.privateInterface }),
    ...(host.privateAddress === undefined ? {} : { "network.nodeIp": host.privateAddress }),
  };
  return {
    ...bareHost(nameOf(host, connection), connection.address, position(own), path),
    user: connection.user,
    port: connection.port,
    proxy: proxyOf(host.ssh?.bastion),
    fields,
  };
}

function proxyOf(bastion: HostConnection | undefined): SourceProxy | undefined {
  return bastion && { host: bastion.address, port: bastion.port, user: bastion.user ?? "root" };
}

/** k0sctl writes releases with and without the leading v. */
function versionFields(version: string | number | undefined): Record<string, string> {
  const text = String(version ?? "").replace(/^v?/, "v");
  return /^v\d+\.\d+\.\d+\+k0s\.\d+$/.test(text) ? { "k0s.version": text } : {};
}

function leftOver(value: object, { keyPosition }: ParsedSource<unknown>): LeftOutList {
  const left = new LeftOutList();
  for (const path of leafPaths(value)) {
    const field = generalPath(path);
    if (READ.test(field)) continue;
    const branch = BRANCHES.find(([pattern]) => pattern.test(field));
    const name = String(path.findLast((part) => typeof part === "string"));
    const shown = isSecretName(name) ? field : (branch?.[0].exec(field)?.[0] ?? field);
    left.add(name, shown, keyPosition(path), branch?.[1] ?? OTHER);
  }
  return left;
}
