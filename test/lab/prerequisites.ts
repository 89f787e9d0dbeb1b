/** Commands that the lab needs beside the toolchain, and the Debian packages that bring them. */
export const LAB_PACKAGES: Readonly<Record<string, string>> = {
  sshd: "openssh-server",
  ssh: "openssh-client",
  nft: "nftables",
  ip: "iproute2",
  unshare: "util-linux",
  shellcheck: "shellcheck",
  busybox: "busybox-static",
  dash: "dash",
  mksh: "mksh",
  curl: "curl",
  git: "git",
  sudo: "sudo",
  gcc: "gcc",
  "systemd-analyze": "systemd",
  "systemd-nspawn": "systemd-container",
  mmdebstrap: "mmdebstrap",
};
