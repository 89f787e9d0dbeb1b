# What the doctor runs behind the checks of the preflight: `diagnose` prints the findings as one line of JSON, and before that
# makes the one repair, where ALLOW_REBOOT is 1: the kernel's memory cgroup of a Raspberry Pi.
# shellcheck shell=sh disable=SC2034,SC2154

# Always one line, also without awk, which the findings need.
diagnose() {
  CLOCK_SECONDS=3
  slurp "$ETC/machine-id"
  case $LINE in '' | uninitialized) machine='' ;; *) machine=$(printf %s "$LINE" | sha256sum | cut -d ' ' -f 1) ;; esac
  slurp "$PROC/sys/kernel/hostname"
  if ! command -v awk >/dev/null 2>&1; then
    printf '{"edgeFleetDoctor":1,"device":"%s","hostName":"","machineId":"","findings":[{"id":"tools","severity":"error","text":"missing: awk - install an awk"}]}\n' "$DEVICE"
    return
  fi
  {
    if fix_memory_cgroup; then
      FIXED=1
      found memory-cgroup-fixed warning "$CMDLINE now turns the memory cgroup on, and the device reboots, once - run again in a minute"
    fi
    (findings) || found preflight-broken error "the preflight broke off on the device, so findings are missing - report it with the device's shell and image"
  } | NAME=$DEVICE HOST=$LINE MACHINE=$machine awk -F'\t' '
    function json(text) {
      gsub(/[^ -~]/, "?", text)
      gsub(/[\\"]/, "\\\\&", text)
      return "\"" text "\""
    }
    BEGIN {
      printf "{\"edgeFleetDoctor\":1,\"device\":%s,\"hostName\":%s,\"machineId\":%s,\"findings\":[", json(ENVIRON["NAME"]), json(ENVIRON["HOST"]), json(ENVIRON["MACHINE"])
    }
    { printf "%s{\"id\":%s,\"severity\":%s,\"text\":%s}", comma, json($1), json($2), json($3); comma = "," }
    END { print "]}" }'
}

# True when the reboot was asked for. The note in $STATE is written first and never removed, so that no device reboots twice
# for it; it names the boot and the second of it at which the reboot was asked for.
fix_memory_cgroup() {
  [ "${ALLOW_REBOOT-}" = 1 ] && [ "$(id -u)" = 0 ] && [ -f "$CGROUP/cgroup.controllers" ] || return 1
  ! grep -qw memory "$CGROUP/cgroup.controllers" && [ ! -e "$STATE/fixed/memory-cgroup" ] || return 1
  slurp "$PROC/cmdline"
  case " $LINE " in *" cgroup_enable=memory "*) return 1 ;; esac
  cmdline_file && [ "$(grep -c . "$CMDLINE")" = 1 ] && write_cmdline || return 1
  this_boot
  mkdir -p "$STATE/fixed" && echo "$BOOT_SECOND $(date)" >"$STATE/fixed/memory-cgroup" && sync || return 1
  ask_reboot && return
  rm -f "$STATE/fixed/memory-cgroup"
  return 1
}

# In a few seconds, so that the answer still reaches the workstation.
ask_reboot() {
  if [ -d "$SYSTEMD" ]; then
    systemd-run --quiet --on-active=5 systemctl reboot >/dev/null 2>&1
  else
    setsid sh -c 'sleep 5; exec reboot' </dev/null >/dev/null 2>&1 &
  fi
}

# Appends: the last word wins over a cgroup_disable=memory before it. A carriage return at the end would hide the new words.
write_cmdline() {
  before=$LINE after=${LINE%"$(printf '\r')"}
  for word in cgroup_memory=1 cgroup_enable=memory; do
    case " $after " in *" $word "*) ;; *) after="$after $word" ;; esac
  done
  [ "$after" != "$before" ] || return 0
  [ -e "$CMDLINE.edge-fleet" ] || cp "$CMDLINE" "$CMDLINE.edge-fleet" || return 1
  printf '%s\n' "$after" >"$CMDLINE.new" && sync "$CMDLINE.new" && mv -f "$CMDLINE.new" "$CMDLINE"
}
