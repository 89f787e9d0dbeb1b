/**
 * The files of the host around K3s: those of every distribution, and the service's unit or script. Upstream's unit is
 * kept but for the folders and modules that it needs before the first start.
 */
import type { Profile } from "../../../inventory/types.ts";
import type { DeviceFile } from "../distribution-plan.ts";
import { hostFilesFor, openFile, UNITS } from "../host.ts";
import { kernelModules, ROUTE_UNIT } from "../network.ts";
import { type OpenrcService, openrcScript, scriptPath } from "../openrc.ts";
import type { NodeRole } from "../reservations.ts";
import { flannelBackend } from "./network.ts";
import { AUDIT_LOGS, BINARY, CONFIG, DATA } from "./paths.ts";

/** Service of K3s by role, without `.service`. */
export const SERVICES: Readonly<Record<NodeRole, string>> = { server: "k3s", agent: "k3s-agent" };

/** Path of the unit of a role, or of its script under OpenRC. */
export function unitPath(init: Profile["init"], role: NodeRole): string {
  return init === "openrc" ? scriptPath(SERVICES[role]) : `${UNITS}/${SERVICES[role]}.service`;
}

/** Files of the host, in the order in which they are put; the distribution's own unit is the last one. */
export function hostFiles(profile: Profile, role: NodeRole): DeviceFile[] {
  const modules = kernelModules(profile, flannelBackend(profile));
  return [
    ...hostFilesFor(profile, `${SERVICES[role]}.service`, modules),
    profile.init === "openrc"
      ? openrcScript(openrcService(profile, role, modules))
      : openFile(unitPath(profile.init, role), serviceUnit(profile, role, modules)),
  ];
}

/**
 * Makes the authorities and the passwords on the disk older than those of the datastore, before each start. K3s writes the
 * passwords of nodes anew where `agent-token-file` appears, changes or goes, but not into its bootstrap data, and its next start
 * then ends with "passwd newer than datastore"; so it would for a file that a power cut left half written. What is older it takes
 * from the datastore, and what is equal it leaves. Keys of Secrets stay as they are: they may be newer for a reason.
 * K3s: pkg/daemons/control/deps/deps.go (genUsers), pkg/cluster/bootstrap.go (ReconcileBootstrapData, isNewerFile).
 */
const DATASTORE_FIRST = `cd ${DATA}/server && touch -c -d @0 cred/passwd cred/ipsec.psk tls/service.key tls/*-ca.* tls/etcd/*-ca.*`;

function openrcService({ network }: Profile, role: NodeRole, modules: readonly string[]): OpenrcService {
  return {
    name: SERVICES[role],
    description: "Lightweight Kubernetes, https://k3s.io",
    command: BINARY,
    arguments: [role],
    modules,
    folders: foldersOf(role),
    route: network.dummyRoute,
    prepare: role === "server" ? [`(${DATASTORE_FIRST}) 2>/dev/null || :`] : [],
    respawnSeconds: 5,
    openFiles: 1048576,
  };
}

/** Folders that are root's alone before the first start. */
function foldersOf(role: NodeRole): string[] {
  return role === "server" ? [CONFIG, `${DATA}/server`, AUDIT_LOGS] : [CONFIG];
}

/** A machine is either a server or an agent: the one ends the other, which a changed `joins` leaves behind. */
const OTHER: Readonly<Record<NodeRole, NodeRole>> = { server: "agent", agent: "server" };

function serviceUnit(profile: Profile, role: NodeRole, modules: readonly string[]): string {
  const route = profile.network.dummyRoute ? ` ${ROUTE_UNIT}` : "";
  const loads = modules.map((module) => `ExecStartPre=-/sbin/modprobe ${module}`);
  const folders = foldersOf(role);
  const datastore = role === "server" ? [`ExecStartPre=-/bin/sh -c '${DATASTORE_FIRST}'`] : [];
  return `[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target${route}
After=network-online.target${route}
Conflicts=${SERVICES[OTHER[role]]}.service

[Service]
Type=${role === "server" ? "notify" : "exec"}
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
${[...loads, ...datastore].join("\n")}
ExecStartPre=/bin/mkdir -p -m 0700 ${folders.join(" ")}
ExecStartPre=/bin/chmod 0700 ${folders.join(" ")}
ExecStart=${BINARY} ${role}

[Install]
WantedBy=multi-user.target
`;
}
