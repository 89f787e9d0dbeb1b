# The one reboot that an apply may ask for, where the inventory allows it and the kernel has its memory cgroup off, and the
# runs that a boot starts. The run ends before the reboot and the boot goes on with it: its journal stays open, its payload
# stays.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
BOOT_SECONDS=180

managed_reboot() {
  if mend_memory_cgroup || { [ "$MANAGED_REBOOT" = 1 ] && ! grep -qsw memory "$CGROUP/cgroup.controllers" && reboot_is_coming; }; then
    leave_to_boot "to turn the memory cgroup on, once - run again in a minute: it goes on by itself"
  fi
}

# The region shows a device with this reason as pending. A boot that was asked for has not interrupted the run.
leave_to_boot() {
  trap - EXIT
  trap '' HUP INT TERM
  echo "rebooting: $1"
  rm -f "$LOCK" "$RUN/booted"
  report failed "rebooting: $1" >"$RUN/.result"
  mv -f "$RUN/.result" "$RUN/result"
  exit
}

# A run that a boot has started is earlier than the network and the time service, and waits for both. What it does not get
# in time, preflight and the downloads report as always.
await_boot() {
  BOOT_END=0
  [ -e "$RUN/booted" ] || return 0
  CLOCK_SECONDS=120
  BOOT_END=$(($(tick) + BOOT_SECONDS))
  until network_is_up; do
    [ "$(tick)" -lt "$BOOT_END" ] || return 0
    sleep "$POLL"
  done
}

# A default route, where one is needed.
network_is_up() (
  preflight_settings
  default_route
  [ -n "$UPLINK" ] || [ "$DUMMY_ROUTE" = 1 ] || [ ! -r "$PROC/net/route" ]
)
