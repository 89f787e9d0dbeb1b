# What can be wrong with a machine before it becomes a device, and while it is one: `findings` prints one line per problem
# (`<id> TAB <error|warning> TAB <what> - <mend>`) and nothing where all is well, `diagnose` the same as one line of JSON,
# `mend_memory_cgroup` is the one repair. Reads files with the shell itself wherever it can: a slow board answers within a
# second. Every path is a variable, so that a folder can stand for a machine. The catalogue is ../preflight.ts.
# shellcheck shell=sh disable=SC2034,SC2086,SC2154,SC2317,SC2329
: "${MACHINE_ROOT=${EDGE_FLEET_ROOT-}}"
: "${PROC:=$MACHINE_ROOT/proc}" "${SYS:=$MACHINE_ROOT/sys}" "${ETC:=$MACHINE_ROOT/etc}" "${VAR:=$MACHINE_ROOT/var}"
: "${RUNTIME:=$MACHINE_ROOT/run}" "${BOOT:=$MACHINE_ROOT/boot}" "${LIB_MODULES:=$MACHINE_ROOT/lib/modules}"
: "${CGROUP:=$SYS/fs/cgroup}" "${SYSTEMD:=$RUNTIME/systemd/system}" "${STATE:=$VAR/lib/edge-fleet}"
: "${DEVICE=}" "${DISTRIBUTION=k3s}" "${ARCH=}" "${MEMORY_MIB=}" "${NEED_KIB=}" "${WASM=}" "${REPLACE=}" "${PREFLIGHT=}"
: "${MANAGED_REBOOT=}" "${EDGE_FLEET_NOW=}" "${CLOCK_SECONDS:=20}" "${CLOCK_TOLERANCE:=30}"
CHECKS="root tools architecture kernel init cgroup modules clock clock_keeping mounts space memory swap power host_name
 machine_id interface route mtu dns wasm ports conflicts firewall access_control backup"

findings() (
  preflight_settings
  BEFORE_START=error
  ! started || BEFORE_START=warning
  for check in $CHECKS; do "check_$check" || :; done
)

# What only the checks need to know travels as one setting: `PREFLIGHT`, words of the form name=value.
preflight_settings() {
  ROLE=server FLANNEL_BACKEND='' POD_CIDR='' RESOLV_CONF='' INTERFACE='' NODE_IP='' DUMMY_ROUTE='' DELIVERY='' WRITE_HEAVY=''
  CLOCK_FLOOR=1767225600 COPIES='' PUSH=''
  for word in $PREFLIGHT; do
    value=${word#*=}
    case ${word%%=*} in
      role) ROLE=$value ;;
      flannel) FLANNEL_BACKEND=$value ;;
      pods) POD_CIDR=$value ;;
      resolv) RESOLV_CONF=$value ;;
      interface) INTERFACE=$value ;;
      ip) NODE_IP=$value ;;
      dummy) DUMMY_ROUTE=$value ;;
      delivery) DELIVERY=$value ;;
      writes) WRITE_HEAVY=$value ;;
      floor) CLOCK_FLOOR=$value ;;
      copies) COPIES=$value ;;
      push) PUSH=$value ;;
    esac
  done
}

found() { printf '%s\t%s\t%s\n' "$1" "$2" "$3"; }

# The first line of a file without a process; empty where there is none.
slurp() {
  LINE=
  [ ! -r "$1" ] || read -r LINE <"$1" 2>/dev/null || :
}

started() {
  case $DISTRIBUTION in
    k0s) [ -e "$VAR/lib/k0s/pki/ca.crt" ] ;;
    microk8s) [ -e "$VAR/snap/microk8s/current/certs/ca.crt" ] ;;
    *) [ -e "$VAR/lib/rancher/k3s/server/tls" ] || [ -e "$VAR/lib/rancher/k3s/agent/client-ca.crt" ] ;;
  esac
}

# Also mends, where the operator allowed it. Always one line, also without awk, which the findings need. The device program
# knows more (`all_findings` of apply.sh) than these files alone.
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
    if mend_memory_cgroup; then
      MENDED=1
      found memory-cgroup-mended warning "$CMDLINE now turns the memory cgroup on, and the device reboots, once - run again in a minute"
    fi
    checks=findings
    ! command -v all_findings >/dev/null 2>&1 || checks=all_findings
    ("$checks") || found preflight-broken error "the preflight broke off on the device, so findings are missing - report it with the device's shell and image"
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

# The file with the kernel command line of a Raspberry Pi, in CMDLINE, and its line in LINE. The old place may hold a note only.
cmdline_file() {
  for CMDLINE in "$BOOT/firmware/cmdline.txt" "$BOOT/cmdline.txt"; do
    slurp "$CMDLINE"
    case " $LINE" in *" root="* | *" console="*) return 0 ;; esac
  done
  CMDLINE=''
  return 1
}

# True when the reboot was asked for: the caller ends there. The note in $STATE is written first and never removed, so that
# no device reboots twice for it; it names the boot and the second of it at which the reboot was asked for.
mend_memory_cgroup() {
  [ "$MANAGED_REBOOT" = 1 ] && [ "$(id -u)" = 0 ] && [ -f "$CGROUP/cgroup.controllers" ] || return 1
  ! grep -qw memory "$CGROUP/cgroup.controllers" && [ ! -e "$STATE/mended/memory-cgroup" ] || return 1
  slurp "$PROC/cmdline"
  case " $LINE " in *" cgroup_enable=memory "*) return 1 ;; esac
  cmdline_file && [ "$(grep -c . "$CMDLINE")" = 1 ] && write_cmdline || return 1
  this_boot
  mkdir -p "$STATE/mended" && echo "$BOOT_SECOND $(date)" >"$STATE/mended/memory-cgroup" && sync || return 1
  ask_reboot && return
  rm -f "$STATE/mended/memory-cgroup"
  return 1
}

# The boot's id and its age in seconds, in BOOT_SECOND.
this_boot() {
  slurp "$PROC/sys/kernel/random/boot_id"
  BOOT_SECOND=$LINE
  slurp "$PROC/uptime"
  BOOT_SECOND="${BOOT_SECOND:-unknown} ${LINE%%.*}"
}

# In a few seconds, so that the answer still reaches the controller.
ask_reboot() {
  if [ -d "$SYSTEMD" ]; then
    systemd-run --quiet --on-active=5 systemctl reboot >/dev/null 2>&1
  else
    setsid sh -c 'sleep 5; exec reboot' </dev/null >/dev/null 2>&1 &
  fi
}

# True for a quarter of an hour after the reboot was asked for, until it comes. In REBOOT_ASKED whether it was in this boot.
reboot_is_coming() {
  REBOOT_ASKED=0
  slurp "$STATE/mended/memory-cgroup"
  note=$LINE
  this_boot
  case $note in "${BOOT_SECOND% *} "[0-9]*) ;; *) return 1 ;; esac
  REBOOT_ASKED=1
  asked=${note#* }
  [ "$((${BOOT_SECOND#* } - ${asked%% *}))" -lt 900 ]
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
