/**
 * The OpenRC script of a service: one daemon under supervise-daemon, with everything that must be there before it done
 * in `start_pre`. OpenRC keeps the script's shell for `start`, so what `start_pre` sets counts.
 * https://github.com/OpenRC/openrc/blob/master/service-script-guide.md
 */

import type { DeviceFile } from "./distribution-plan.ts";
import { SYSCTL_FILE } from "./host.ts";
import { ROUTE_COMMANDS } from "./network.ts";

/** Folder of service scripts on a device. */
export const INIT_SCRIPTS = "/etc/init.d";

/** MiB at which a log is cut; the device program knows the same number for the hourly cut of a running one. */
const LOG_MIB = 10;

/** What is left of it then. */
const KEPT_MIB = 2;

const MIB = 1024 * 1024;

/** A service of one daemon that stays in the foreground. */
export interface OpenrcService {
  /** Name of the script, of its pidfile and of its log. */
  readonly name: string;
  /** One line for people. */
  readonly description: string;
  /** Absolute path of the daemon. */
  readonly command: string;
  /** Its arguments, unquoted; no two blanks in a row. */
  readonly arguments: readonly string[];
  /** Kernel modules in load order. One that is built in or missing stops nothing. */
  readonly modules: readonly string[];
  /** Folders that are root's alone. Default: none. */
  readonly folders?: readonly string[];
  /** True where the last-resort default route is wanted. */
  readonly route: boolean;
  /** Further shell lines of `start_pre`, the last ones. Default: none. */
  readonly prepare?: readonly string[];
  /** Seconds before a daemon that has ended is started again. */
  readonly respawnSeconds: number;
  /** Open files. */
  readonly openFiles: number;
}

/** Path of a service's script. */
export function scriptPath(name: string): string {
  return `${INIT_SCRIPTS}/${name}`;
}

/** The script as a file of a plan. */
export function openrcScript(service: OpenrcService): DeviceFile {
  return { path: scriptPath(service.name), mode: "0755", content: scriptText(service), live: false };
}

/**
 * `use` and not `need`: a device without a network must start its cluster all the same, and Debian has no `localmount`.
 * Containers outlive a restart of the service, so its cgroup is not swept, whatever /etc/rc.conf says.
 */
function scriptText(service: OpenrcService): string {
  const { name, description, command, respawnSeconds, openFiles } = service;
  return `#!/sbin/openrc-run
# shellcheck shell=sh disable=SC2034
# Written by edge-fleet - change the inventory, not this file. Environment: lines \`export NAME=value\` in /etc/conf.d/${name}.
name=${name}
description="${description}"
supervisor=supervise-daemon
command=${command}
command_args="${commandLine(service.arguments)}"
pidfile=/run/${name}.pid
output_log=/var/log/${name}.log
error_log=/var/log/${name}.log
respawn_delay=${respawnSeconds}
respawn_max=0
retry="TERM/60/KILL/5"
rc_ulimit="-n ${openFiles}"
rc_cgroup_cleanup=no

depend() {
  use localmount net
  want cgroups
  after firewall modules sysctl
}

start_pre() {
  umask 022
${startPre(service)
  .map((line) => `  ${line}\n`)
  .join("")}  return 0
}
`;
}

function startPre({ name, modules, folders = [], route, prepare = [] }: OpenrcService): string[] {
  const log = `/var/log/${name}.log`;
  return [
    ...modules.map((module) => `modprobe -q ${module} || :`),
    `[ ! -f ${SYSCTL_FILE} ] || sysctl -q -p ${SYSCTL_FILE} || ewarn "kernel settings were not all accepted"`,
    ...(folders.length === 0 ? [] : [`mkdir -p ${folders.join(" ")}`, `chmod 0700 ${folders.join(" ")}`]),
    ...(route ? ROUTE_COMMANDS : []),
    `if [ "$(wc -c 2>/dev/null <${log})" -gt ${LOG_MIB * MIB} ] 2>/dev/null; then (umask 077 && tail -c ${KEPT_MIB * MIB} ${log} >${log}.new && mv -f ${log}.new ${log}); fi`,
    ...prepare,
  ];
}

/**
 * OpenRC evaluates the value once more, so each word is quoted for a shell inside the quotes of the assignment. Blanks in
 * a row become one.
 */
function commandLine(words: readonly string[]): string {
  return words
    .map((word) => (/^[A-Za-z0-9_./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ")
    .replace(/["$`\\]/g, "\\$&");
}
