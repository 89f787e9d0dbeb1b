/** Who connects to whom in a fleet: ports, with the number of devices that need each. Pure. */
import type { Inventory, Profile } from "../../components/inventory/index.ts";
import { distributionOf } from "../../components/plan/distributions/index.ts";

/** One kind of connection. */
export interface Connection {
  /** Where it goes, e.g. `git.example.com`; for inbound ports where it comes from. */
  readonly peer: string;
  /** e.g. `443/tcp` */
  readonly port: string;
  readonly purpose: string;
  /** Devices that need it. */
  readonly devices: number;
}

/** Ports that must be open on a device towards the outside: SSH and nothing else. */
export function inboundConnections(profiles: readonly Profile[]): Connection[] {
  return gather(
    profiles.map(({ ssh }) => ({
      peer: ssh.proxy?.host ?? "workstation",
      port: `${ssh.port}/tcp`,
      purpose: "SSH: enroll and up",
    })),
  );
}

/** Ports between the machines of one cluster. Only machines of clusters with several need them. */
export function siteConnections(profiles: readonly Profile[]): Connection[] {
  const servers = new Set(profiles.flatMap(({ joins }) => (joins === undefined ? [] : [joins])));
  const members = profiles.filter(({ id, joins }) => joins !== undefined || servers.has(id));
  return gather(
    members.flatMap((profile) =>
      distributionOf(profile)
        .ports(profile)
        .map(([port, purpose]) => ({ peer: "machines of the same cluster", port, purpose })),
    ),
  );
}

/** Where devices connect to: what pulls, what is downloaded, the clock. */
export function outboundConnections(inventory: Inventory, profiles: readonly Profile[]): Connection[] {
  const git = endpointOf(inventory.fleet.git.url);
  return gather(
    profiles.flatMap((profile) => {
      const pulls = profile.joins === undefined && profile.gitops.engine !== "none";
      const connections: Endpoint[] = pulls ? git.map((peer) => ({ ...peer, purpose: "workloads from Git" })) : [];
      if (pulls && profile.gitops.engine === "argocd-agent") connections.push(PRINCIPAL);
      connections.push(
        ...registryConnections(profile),
        ...artifactConnections(inventory, profile),
        ...timeConnections(profile),
      );
      return connections;
    }),
  );
}

type Endpoint = Omit<Connection, "devices">;

const PRINCIPAL: Endpoint = {
  peer: "the hub, principal of its region",
  port: "443/tcp",
  purpose: "Applications and status, mTLS",
};

function registryConnections({ registries }: Profile): Endpoint[] {
  const mirrors = Object.values(registries).flatMap(({ endpoints }) => endpoints.flatMap(endpointOf));
  const purpose = "container images";
  if (mirrors.length > 0) return mirrors.map((peer) => ({ ...peer, purpose: `${purpose}, from the mirror` }));
  return [{ peer: "the images' registries", port: "443/tcp", purpose }];
}

function artifactConnections({ artifacts: lock }: Inventory, profile: Profile): Endpoint[] {
  const { artifacts, distribution } = profile;
  if (artifacts.delivery === "push") return [];
  const purpose = `${distribution} binaries, at an install or upgrade`;
  const [binary] = distributionOf(profile).artifacts(profile, lock);
  const found = endpointOf(artifacts.mirror ?? binary?.locked?.url ?? "");
  if (found.length > 0) return found.map((peer) => ({ ...peer, purpose }));
  return [{ peer: "as artifacts.lock.yaml will say", port: "443/tcp", purpose }];
}

function timeConnections({ time }: Profile): Endpoint[] {
  const servers = time.ntpServers.length > 0 ? time.ntpServers : ["the image's time servers"];
  return servers.map((peer) => ({ peer, port: "123/udp", purpose: "time" }));
}

const SCHEME_PORTS: Readonly<Record<string, string>> = {
  "https:": "443",
  "http:": "80",
  "ssh:": "22",
  "git:": "9418",
  "oci:": "443",
};

/** Host and port of a URL, or of Git's `user@host:path`; nothing for what is neither. */
export function endpointOf(url: string): { peer: string; port: string }[] {
  const [, scpHost] = /^(?:[^@/:]+@)?([A-Za-z0-9.-]+):(?!\/\/)/.exec(url) ?? [];
  if (scpHost !== undefined) return [{ peer: scpHost, port: "22/tcp" }];
  if (!URL.canParse(url)) return [];
  const { hostname, port, protocol } = new URL(url);
  const number = port === "" ? SCHEME_PORTS[protocol] : port;
  return hostname === "" || number === undefined ? [] : [{ peer: hostname, port: `${number}/tcp` }];
}

/** Equal connections become one with the number of devices. */
function gather(connections: readonly Endpoint[]): Connection[] {
  const gathered = new Map<string, Connection>();
  for (const { peer, port, purpose } of connections) {
    const key = [peer, port, purpose].join("\n");
    gathered.set(key, { peer, port, purpose, devices: (gathered.get(key)?.devices ?? 0) + 1 });
  }
  return [...gathered].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, connection]) => connection);
}
