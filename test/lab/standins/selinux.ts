/**
 * What a device with SELinux has of it, as stand-ins: an enforcing kernel's file, and restorecon and chcon, which write labels
 * down by inode, as SELinux keeps them. The labels are those of the policies' files. No part of the product; a machine whose
 * kernel enforces them is no part of the lab, so that what a policy then denies is not tried.
 */
import type { Device } from "./apply-device.ts";
import type { Sandbox } from "./sandbox.ts";

const LABELS = "/run/standin-selinux";

/** Types by path, the last that matches: base policy, then k3s-selinux v1.6.stable.1, policy/centos9/k3s.fc. */
const BASE: readonly (readonly [string, string])[] = [
  ["/*", "default_t"],
  ["/etc/*", "etc_t"],
  ["/etc/systemd/system/*", "systemd_unit_file_t"],
  ["/usr/local/bin/*", "bin_t"],
  ["/var/lib/*", "var_lib_t"],
];
const K3S_SELINUX: readonly (readonly [string, string])[] = [
  ["/etc/systemd/system/k3s*", "container_unit_file_t"],
  ["/usr/local/bin/k3s", "container_runtime_exec_t"],
  ["/var/lib/rancher/k3s", "container_var_lib_t"],
  ["/var/lib/rancher/k3s/*", "container_var_lib_t"],
];

/** Turns a device into one whose SELinux enforces. @param policy whether k3s-selinux is installed */
export function enforceSelinux(sandbox: Sandbox, device: Device, policy: boolean): void {
  const rules = [...BASE, ...(policy ? K3S_SELINUX : [])].map(
    ([path, type]) => `case $1 in ${path}) type=${type} ;; esac`,
  );
  const head = `#!/bin/sh\nset -eu\nmkdir -p ${LABELS}\nput() { echo "$2" >"${LABELS}/$(stat -c %d.%i "$1")"; }\n`;
  // policycoreutils, restorecon(8): -R into folders, -i ignores what is not there.
  sandbox.write(
    "/usr/local/bin/restorecon",
    `${head}label() {\n${rules.join("\n")}\nput "$1" "$type"\n}
[ "$1 $2" = '-R -i' ] || exit 1
[ -e "$3" ] || exit 0
find "$3" -xdev | while read -r path; do label "$path"; done\n`,
  );
  // coreutils, chcon(1); the words are those of K3s' install.sh (setup_selinux), branches release-1.32, -1.34 and main.
  sandbox.write(
    "/usr/local/bin/chcon",
    `${head}[ "$1 $2 $3 $4 $5" = '-u system_u -r object_r -t' ] || exit 1\nput "$7" "$6"\n`,
  );
  device.sh(`chmod 755 /usr/local/bin/restorecon /usr/local/bin/chcon; mkdir -p /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce
    rm -rf ${LABELS}`);
}

/** The type that a file was given, empty where none. */
export function labelOf(device: Device, path: string): string {
  return device.sh(`cat ${LABELS}/$(stat -c %d.%i ${path}) 2>/dev/null || :`);
}
