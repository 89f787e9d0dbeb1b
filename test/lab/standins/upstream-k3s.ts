/**
 * K3s as others install it, for tests of a device that edge-fleet takes over: with flags in the unit, variables beside it and
 * settings in files. No part of the product. Read at k3s-io/k3s v1.33.0+k3s1 and v1.36.2+k3s1 (install.sh), alexellis/k3sup
 * 0e44269 and k3s-io/k3s-ansible 281554e.
 */
import type { Device } from "./apply-device.ts";
import { OLD, RELEASES } from "./apply-device.ts";

/** What an installer leaves beside the binary. */
export interface UpstreamOptions {
  /** Words after `k3s server`, one a line of the unit. k3sup: `--cluster-init`, `--tls-san <host>` (cmd/install.go). */
  readonly flags?: readonly string[];
  /** Lines of `k3s.service.env`: K3S_, CONTAINERD_ and KINE_ variables (install.sh, create_env_file). */
  readonly environment?: readonly string[];
  /** `config.yaml`; k3s-ansible writes its token there (roles/k3s_server/tasks/main.yml). */
  readonly config?: string;
  /** `config.yaml.d/00-mine.yaml`. */
  readonly dropIn?: string;
  /** Service, `k3s` or `k3s-agent`. Default `k3s`. */
  readonly service?: "k3s" | "k3s-agent";
}

/** Command that waits for the API, which answers a moment after K3s has started. */
export const AWAIT_API = "until k3s kubectl get --raw=/readyz >/dev/null 2>&1; do sleep 0.1; done";

/** The unit of install.sh, create_systemd_service_file, with its continued line. */
function unit(command: string, service: string, flags: readonly string[]): string {
  return `[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-/etc/systemd/system/${service}.service.env
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s \\
    ${[command, ...flags.map((flag) => `\t'${flag}'`)].join(" \\\n")} \\

`;
}

/** Makes a bare device one that runs K3s of release {@link OLD}, without edge-fleet. */
export function installUpstream(device: Device, options: UpstreamOptions = {}): void {
  const { flags = [], environment = [], config, dropIn, service = "k3s" } = options;
  device.wipe();
  const put = (path: string, text: string): void => device.write(path, text);
  put("/usr/local/bin/k3s", RELEASES[OLD] ?? "");
  put(`/etc/systemd/system/${service}.service`, unit(service === "k3s" ? "server" : "agent", service, flags));
  put(`/etc/systemd/system/${service}.service.env`, environment.map((line) => `${line}\n`).join(""));
  if (config !== undefined) put("/etc/rancher/k3s/config.yaml", config);
  if (dropIn !== undefined) put("/etc/rancher/k3s/config.yaml.d/00-mine.yaml", dropIn);
  const started = service === "k3s" ? "until [ -s /etc/rancher/k3s/k3s.yaml ]; do sleep 0.1; done" : "sleep 1.2";
  device.sh(
    `chmod 755 /usr/local/bin/k3s; systemctl daemon-reload; systemctl enable ${service}; systemctl start ${service}; ${started}`,
  );
}
