/**
 * Networks of the devices that have one of their own: an address, a network namespace and a wire to the lab's bridge,
 * through which it reaches the lab's servers and nothing else. What binds a fixed port, such as a Kubernetes API, needs
 * one.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** The lab's end of every wire, and the devices' way out. */
const BRIDGE = "edge-fleet0";
const BRIDGE_ADDRESS = "10.251.0.1";

/** A device with a network of its own. */
export interface LinkedDevice {
  /** Position in the lab's list. */
  readonly index: number;
  /** File that keeps its network namespace alive. */
  readonly namespace: string;
}

/** The IPv4 address that a device has in its own network. @param index position in the lab's list, 0 to 4999 */
export function linkAddress(index: number): string {
  return `10.251.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`;
}

const CONNECT = `ip link show dev "$0" >/dev/null 2>&1 || {
  ip link add "$0" type bridge
  ip addr add "$1/16" dev "$0"
  ip link set "$0" up
}
bridge=$0 router=$1
shift
while [ "$#" -gt 0 ]; do
  : >"$2"
  unshare --net="$2" ip link set lo up
  ip link add "$1" type veth peer name "$1p"
  ip link set "$1" master "$bridge" up
  ip link set "$1p" netns "$2"
  nsenter --net="$2" sh -euc 'ip link set "$1" name eth0
    ip addr add "$2/16" dev eth0
    ip link set eth0 up
    ip route add default via "$3"' sh "$1p" "$3" "$router"
  shift 3
done`;

/** Makes the networks of some devices. @throws Error when the kernel refuses */
export function connectDevices(devices: readonly LinkedDevice[]): void {
  if (devices.length === 0) return;
  const words = devices.flatMap(({ index, namespace }) => [linkName(index), namespace, linkAddress(index)]);
  sh(CONNECT, BRIDGE, BRIDGE_ADDRESS, ...words);
}

/** Plugs a device's wire in or out. */
export function setLink(index: number, connected: boolean): void {
  sh('ip link set "$1" "$2"', "link", linkName(index), connected ? "up" : "down");
}

/** Removes the bridge; the wires go with their namespaces. */
export function removeBridge(): void {
  if (existsSync(`/sys/class/net/${BRIDGE}`)) sh('ip link delete "$0"', BRIDGE);
}

function linkName(index: number): string {
  return `device${index}`;
}

function sh(script: string, ...args: readonly string[]): void {
  execFileSync("sh", ["-euc", script, ...args], { stdio: ["ignore", "ignore", "pipe"] });
}
