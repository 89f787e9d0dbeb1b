#!/bin/sh
# PID 1 of the lab's namespaces: prepares network and /run, then runs the command in its arguments and ends with its exit
# code. A shell, because a shell reaps the orphans that detached device processes become; Node.js as PID 1 would not.
set -eu

advertised_address=10.250.0.1/32

prepare_network() {
  ip link set lo up
  ip addr add "$advertised_address" dev lo
}

prepare_run_directory() {
  # --no-mtab: libmount would otherwise leave /run/mount on the machine before the new /run covers it.
  mount --no-mtab -t tmpfs -o mode=755 edge-fleet-lab /run
}

run_command() {
  code=0
  "$@" || code=$?
  exit "$code"
}

main() {
  prepare_network
  prepare_run_directory
  run_command "$@"
}

main "$@"
