/**
 * A sandbox as a device whose init is OpenRC: stand-ins for its commands in place of systemd's, `/run` as its boot leaves
 * it, and Alpine's folder of hourly jobs.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PROGRAM_PATH } from "../../../components/device/program.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { Device, OLD, profileWith, RELEASES, sha256 } from "./apply-device.ts";
import type { Sandbox } from "./sandbox.ts";

const STANDINS = join(import.meta.dirname, "openrc");

/** A profile of a device with OpenRC. */
export function openrcProfile(version = OLD, changes: Partial<Profile> = {}): Profile {
  return profileWith(version, { init: "openrc", ...changes });
}

/** See {@link Device}. */
export class OpenrcDevice extends Device {
  constructor(sandbox: Sandbox) {
    super(sandbox);
    for (const name of readdirSync(STANDINS)) sandbox.write(`/sbin/${name}`, readFileSync(join(STANDINS, name)));
    this.sh(`chmod 755 /sbin/openrc-run /sbin/openrc /sbin/rc-service /sbin/rc-update /sbin/supervise-daemon
      rm -rf /run/systemd /run/dbus /usr/local/bin/systemctl /usr/local/bin/systemd-run /etc/init.d /etc/runlevels
      mkdir -p /run/openrc/started /etc/init.d /etc/runlevels/default /etc/periodic/hourly
      : >/run/openrc/softlevel; : >/run/openrc/started/crond
      for tool in systemctl systemd-run; do printf '#!/bin/sh\\necho "$0 $*" >>/run/systemd-was-called\\nexit 1\\n' >/usr/local/bin/$tool; chmod 755 /usr/local/bin/$tool; done`);
  }

  override pid(service = "k3s"): string {
    return this.sh(`s=$(cat /run/${service}.pid 2>/dev/null) || { echo 0; exit 0; }
      c=$(cat /run/openrc/options/${service}/child_pid 2>/dev/null) || { echo 0; exit 0; }
      grep -q . /proc/$c/cmdline 2>/dev/null && [ "$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$c/status)" = "$s" ] && echo "$c" || echo 0`);
  }

  override powerCycle(): void {
    this.sh(`for exe in /proc/[0-9]*/exe; do p=\${exe#/proc/}; p=\${p%/exe}
        case $(tr '\\0' ' ' <"/proc/$p/cmdline" 2>/dev/null) in
          *edge-fleet-device* | *supervise-daemon* | 'sleep 2147483647 ') [ "$p" = $$ ] || kill -9 "$p" ;;
        esac
      done; rm -rf /run/openrc /run/*.pid /run/standin-k3s /run/edge-fleet.*; mkdir -p /run/openrc/started; : >/run/openrc/started/crond`);
    this.newBoot();
    this.sh("openrc default >/run/boot.log 2>&1 || { cat /run/boot.log >&2; exit 1; }");
  }

  override wipe(): void {
    this.killAt("");
    this.sh(`for s in k3s k3s-agent k0scontroller; do [ ! -x /etc/init.d/$s ] || rc-service $s stop >/dev/null 2>&1; rm -f /etc/runlevels/default/$s /etc/init.d/$s /var/log/$s.log; done
      rm -rf /etc/rancher /var/lib/rancher /var/lib/edge-fleet /var/log/edge-fleet /usr/local/bin/k3s /usr/local/bin/containerd-shim-* \\
        /etc/sysctl.d/90-edge-fleet.conf /run/standin-k3s /run/edge-fleet.*`);
  }

  override assertIs(profile: Profile): void {
    const version = profile.k3s.version;
    assert.equal(this.sh("sha256sum </usr/local/bin/k3s | cut -d ' ' -f 1"), sha256(RELEASES[version] ?? ""));
    assert.equal(this.sh("cat /run/standin-k3s/version"), version);
    assert.equal(this.sh("cat /run/standin-k3s/config"), this.sh("cksum </etc/rancher/k3s/config.yaml"));
    assert.match(
      this.sh("cat /etc/rancher/k3s/config.yaml"),
      new RegExp(`flannel-backend: ${profile.k3s.flannelBackend}\n`),
    );
    assert.equal(this.sh("k3s kubectl get --raw=/readyz; readlink /etc/runlevels/default/k3s"), "ok\n/etc/init.d/k3s");
    assert.equal(this.servers(), 1);
    assert.equal(this.sh("cat /run/systemd-was-called 2>/dev/null || :"), "");
    this.assertTidy();
  }

  /** Processes that are a server: a second one would fight for its ports. */
  servers(): number {
    return Number(this.sh("grep -lzxs '[2]147483647' /proc/[0-9]*/cmdline | wc -l"));
  }

  /** Runs the device program's boot command as OpenRC does. */
  recover(): void {
    this.sh(`${PROGRAM_PATH} recover`);
  }
}
