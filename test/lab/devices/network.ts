/**
 * Packet filter of the device modes: the nftables script by which a device changes from one to another, and the call
 * that loads it. `dark` and `refusing` are sets of addresses in one table of the lab's network namespace.
 */
import { execFile } from "node:child_process";
import { DEVICE_PORT } from "./address.ts";
import type { DeviceMode } from "./types.ts";

const TABLE = "inet edge_fleet_lab";
const FILTERED: readonly DeviceMode[] = ["dark", "refusing"];

/** The table before any device left mode `up`. */
export const TABLE_SCRIPT = `table ${TABLE} {
  set dark { type ipv4_addr; }
  set refusing { type ipv4_addr; }
  chain input {
    type filter hook input priority 0; policy accept;
    ip daddr @dark drop
    ip saddr @dark drop
    ip daddr @refusing tcp dport ${DEVICE_PORT} reject with tcp reset
  }
}
`;

/** Removes the table and with it every mode; adds it first, because deleting an absent one is an error. */
export const REMOVE_SCRIPT = `add table ${TABLE}\ndelete table ${TABLE}\n`;

/**
 * The statements that move one address between modes; empty when the packet filter has no part in it.
 * @param address IPv4 address of the device
 * @param from mode now
 * @param to mode wanted
 */
export function modeScript(address: string, from: DeviceMode, to: DeviceMode): string {
  if (from === to) return "";
  const statement = (verb: string, mode: DeviceMode) =>
    FILTERED.includes(mode) ? `${verb} element ${TABLE} ${mode} { ${address} }\n` : "";
  return statement("delete", from) + statement("add", to);
}

/**
 * Loads a script in one transaction.
 * @throws Error with what `nft` said
 */
export async function loadScript(script: string): Promise<void> {
  if (script === "") return;
  await new Promise<void>((resolve, reject) => {
    const nft = execFile("nft", ["-f", "-"], (error, _stdout, stderr) =>
      error === null
        ? resolve()
        : reject(new Error(`lab: nft failed: ${stderr.trim() || error.message} - install nftables`)),
    );
    nft.stdin?.end(script);
  });
}
