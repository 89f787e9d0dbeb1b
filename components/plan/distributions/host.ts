/**
 * The files of the host that every distribution needs around it: kernel settings and modules, a bound on the journal,
 * and the last-resort default route.
 */
import type { Profile } from "../../inventory/types.ts";
import type { DeviceFile } from "./distribution-plan.ts";
import { ROUTE_UNIT, routeUnit } from "./network.ts";

/** Folder of units on a device. */
export const UNITS = "/etc/systemd/system";

/** Kernel settings of a device. */
export const SYSCTL_FILE = "/etc/sysctl.d/90-edge-fleet.conf";

/** What the kubelet demands with `protectKernelDefaults`. */
const KERNEL = ["vm.panic_on_oom=0", "vm.overcommit_memory=1", "kernel.panic=10", "kernel.panic_on_oops=1"];

/**
 * WASM runtimes reserve some 4 GiB of address space per instance, which a kernel with heuristic overcommit refuses on a
 * small device.
 */
const WASM_KERNEL = ["vm.overcommit_memory=1"];

/** The journal in RAM or on flash: 10 % of the file system by default, which wears a small card and fills it. */
const JOURNAL = ["[Journal]", "SystemMaxUse=50M", "RuntimeMaxUse=50M"];

/**
 * Files of the host, in the order in which they are put. OpenRC has no journal, and the service's script sets the route.
 * @param before units that need the default route, e.g. `k0scontroller.service`
 * @param modules kernel modules in load order, see {@link kernelModules}
 */
export function hostFilesFor(profile: Profile, before: string, modules: readonly string[]): DeviceFile[] {
  const { security, wasm, network, init } = profile;
  const kernel = security === "cis" ? KERNEL : wasm.length > 0 ? WASM_KERNEL : [];
  return [
    ...(kernel.length === 0 ? [] : [openFile(SYSCTL_FILE, lines(kernel))]),
    openFile("/etc/modules-load.d/90-edge-fleet.conf", lines(modules)),
    ...(init === "openrc" ? [] : unitFiles(network.dummyRoute, before)),
  ];
}

function unitFiles(route: boolean, before: string): DeviceFile[] {
  return [
    { ...openFile("/etc/systemd/journald.conf.d/90-edge-fleet.conf", lines(JOURNAL)), live: true },
    ...(route ? [openFile(`${UNITS}/${ROUTE_UNIT}`, routeUnit(before))] : []),
  ];
}

/** A file that everybody may read, whose change needs a restart. */
export function openFile(path: string, content: string): DeviceFile {
  return { path, mode: "0644", content, live: false };
}

function lines(values: readonly string[]): string {
  return `${values.join("\n")}\n`;
}
