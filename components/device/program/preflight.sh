# What can be wrong with a machine before it becomes a device, and while it is one: `findings` prints one line per problem
# (`<id> TAB <error|warning> TAB <what> - <fix>`) and nothing where all is well. Reads files with the shell itself wherever it
# can: a slow board answers within a second. Every path is a variable, so that a folder can stand for a machine. The
# catalogue is preflight.ts.
# shellcheck shell=sh disable=SC2034,SC2086,SC2154,SC2317,SC2329
: "${MACHINE_ROOT=${EDGE_FLEET_ROOT-}}"
: "${PROC:=$MACHINE_ROOT/proc}" "${SYS:=$MACHINE_ROOT/sys}" "${ETC:=$MACHINE_ROOT/etc}" "${VAR:=$MACHINE_ROOT/var}"
: "${RUNTIME:=$MACHINE_ROOT/run}" "${BOOT:=$MACHINE_ROOT/boot}" "${LIB_MODULES:=$MACHINE_ROOT/lib/modules}"
: "${ZONES:=$MACHINE_ROOT/usr/share/zoneinfo}"
: "${CGROUP:=$SYS/fs/cgroup}" "${SYSTEMD:=$RUNTIME/systemd/system}" "${STATE:=$VAR/lib/edge-fleet}"
: "${DEVICE=}" "${DISTRIBUTION=}" "${ARCH=}" "${MEMORY_MIB=}" "${NEED_KIB=}" "${WASM=}" "${REPLACE=}" "${PREFLIGHT=}"
: "${EDGE_FLEET_NOW=}" "${CLOCK_SECONDS:=20}" "${CLOCK_TOLERANCE:=30}"
CHECKS="root tools architecture kernel init cgroup modules clock clock_keeping time_zone mounts space memory swap power host_name
 machine_id interface route mtu dns wasm ports conflicts firewall access_control backup"

findings() (
  preflight_settings
  needs
  BEFORE_START=error
  ! started || BEFORE_START=warning
  for check in $CHECKS; do "check_$check" || :; done
)

# What only the checks need to know travels as one setting: `PREFLIGHT`, words of the form name=value.
preflight_settings() {
  ROLE=server FLANNEL_BACKEND='' POD_CIDR='' RESOLV_CONF='' INTERFACE='' NODE_IP='' DUMMY_ROUTE='' DELIVERY='' WRITE_HEAVY=''
  CLOCK_FLOOR=1767225600 ZONE=UTC COPIES='' PUSH=''
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
      zone) ZONE=$value ;;
      copies) COPIES=$value ;;
      push) PUSH=$value ;;
    esac
  done
}

# Kernel modules and commands beyond those of all, MiB without which the distribution cannot run and for which it is documented,
# ports, its own services as a regular expression, SELinux policy.
needs() {
  KERNEL_MODULES='' TOOLS='' LEAST_MIB=0 ADVISED_MIB=0 PORTS='' OWN='' POLICY=container
  optional "${DISTRIBUTION}_needs"
}

found() { printf '%s\t%s\t%s\n' "$1" "$2" "$3"; }

# The first line of a file without a process; empty where there is none.
slurp() {
  LINE=
  [ ! -r "$1" ] || read -r LINE <"$1" 2>/dev/null || :
}

started() { [ -n "$DISTRIBUTION" ] && "${DISTRIBUTION}_started"; }

# The file with the kernel command line of a Raspberry Pi, in CMDLINE, and its line in LINE. The old place may hold a note only.
cmdline_file() {
  for CMDLINE in "$BOOT/firmware/cmdline.txt" "$BOOT/cmdline.txt"; do
    slurp "$CMDLINE"
    case " $LINE" in *" root="* | *" console="*) return 0 ;; esac
  done
  CMDLINE=''
  return 1
}

# The boot's id and its age in seconds, in BOOT_SECOND.
this_boot() {
  slurp "$PROC/sys/kernel/random/boot_id"
  BOOT_SECOND=$LINE
  slurp "$PROC/uptime"
  BOOT_SECOND="${BOOT_SECOND:-unknown} ${LINE%%.*}"
}

# True for a quarter of an hour after the reboot was asked for, until it comes. In REBOOT_ASKED whether it was in this boot.
reboot_is_coming() {
  REBOOT_ASKED=0
  slurp "$STATE/fixed/memory-cgroup"
  note=$LINE
  this_boot
  case $note in "${BOOT_SECOND% *} "[0-9]*) ;; *) return 1 ;; esac
  REBOOT_ASKED=1
  asked=${note#* }
  [ "$((${BOOT_SECOND#* } - ${asked%% *}))" -lt 900 ]
}
