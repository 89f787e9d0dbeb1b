#!/bin/sh
# Stand-in of the lab for the K3s binary, release @VERSION@, with a real API: one process of the real Kubernetes API server
# and controllers that obeys the configuration of the device, and the real kubectl. What runs pods is told in
# toolchain/hub-apiserver/k3s.
# A fault comes from its build or from /etc/edge-fleet-lab/fault: `<never-ready|crash> [release]`.
# shellcheck disable=SC2034,SC2154
set -eu
VERSION='@VERSION@'
FAULT='@FAULT@'
READY_SECONDS='@READY_SECONDS@'
API=/opt/edge-fleet-lab/k3s-apiserver

refuse() {
  echo "level=fatal msg=\"$*\"" >&2
  exit 1
}
# @STANDIN@

# The name of its control group, as under systemd: by it preflight knows whose port 6443 is. Under systemd it has that name.
name_cgroup() {
  ! grep -q '/k3s\.service$' "/proc/$$/cgroup" || return 0
  echo '0::/system.slice/k3s.service' >/run/standin-cgroup
  mount --bind /run/standin-cgroup "/proc/$$/cgroup"
}

server() {
  ready_at
  case $word in '' | never-ready) ;; *) refuse "the stand-in has no fault $word" ;; esac
  name_cgroup
  exec "$API" "$VERSION" server ${word:+"$word"}
}

case ${1-} in
  --version) printf 'k3s version %s (stand-in)\ngo version go1.26.0\n' "$VERSION" ;;
  server) server ;;
  # It lives for a tenth of a second, a quarter of it spent on garbage; the limit bounds one that lives longer.
  kubectl) GOGC=off GOMEMLIMIT=256MiB exec "$API" "$VERSION" "$@" ;;
  *) refuse "the stand-in has no command ${1-}" ;;
esac
