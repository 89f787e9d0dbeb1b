# What can be wrong with the machine itself: rights and tools, processor, kernel, clock, disk, memory, names. One function per
# check of the list in preflight.sh; each prints its findings and ends quietly where the machine does not tell.
# shellcheck shell=sh disable=SC2034,SC2046,SC2086,SC2154,SC2317,SC2329

check_root() {
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null 2>&1 || { found root error "not root, and there is no sudo; doas is not used: some findings are missing - install sudo and allow it without a password until the device is enrolled, or set ssh.user: root" && return; }
  found root error "not root, and sudo asks for a password: some findings are missing - log in as root, or allow sudo without a password until the device is enrolled"
}

check_tools() {
  missing=
  for tool in awk base64 grep gzip mktemp sed sha256sum sync tar timeout $TOOLS; do
    command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
  done
  [ "$DELIVERY" = push ] || command -v curl >/dev/null 2>&1 || command -v wget >/dev/null 2>&1 || missing="$missing curl-or-wget"
  [ -z "$missing" ] || found tools error "missing:$missing - install them (coreutils, gzip, tar, an awk, curl, snapd)"
}

check_architecture() {
  machine=$(uname -m)
  case $machine in x86_64 | amd64) machine=amd64 ;; aarch64 | arm64 | armv8*) machine=arm64 ;; esac
  [ -z "$ARCH" ] || [ "$machine" = "$ARCH" ] || found architecture error "$machine, the model says $ARCH - give the device another model"
}

check_kernel() {
  slurp "$PROC/sys/kernel/osrelease"
  case $LINE in [0-9]*.[0-9]*) ;; *) return 0 ;; esac
  minor=${LINE#*.}
  number=$((${LINE%%.*} * 1000 + ${minor%%[!0-9]*}))
  if [ "$number" -lt 4015 ]; then
    found kernel error "$LINE is older than 4.15, the first with a usable cgroup v2 - install a newer image"
  elif [ "$number" -lt 5008 ]; then
    found kernel warning "$LINE is older than 5.8, which Kubernetes asks for with cgroup v2 - install a newer image"
  fi
}

check_init() {
  detect_init
  case $INIT_SYSTEM/${INIT:-systemd} in
    none/*) found init error "neither systemd nor OpenRC is running - use an image with one of them" ;;
    openrc/systemd) found init error "OpenRC runs, the inventory says systemd - set init: openrc for the device or its model" ;;
    systemd/openrc) found init error "systemd runs, the inventory says openrc - set init: systemd for the device or its model" ;;
    openrc/*) check_openrc ;;
  esac
}

# `started` has a link for each service that runs. OpenRC refuses to run services of a system that it has not booted.
check_openrc() {
  [ -e "$RUNTIME/openrc/softlevel" ] || found init error "OpenRC is installed and has not booted this machine - boot it with OpenRC"
  [ -e "$MACHINE_ROOT/sbin/supervise-daemon" ] || found init error "OpenRC has no supervise-daemon, under which the cluster runs - install OpenRC 0.21 or later with it"
  for daemon in crond cron cronie dcron fcron busybox-crond; do
    [ ! -e "$RUNTIME/openrc/started/$daemon" ] && [ ! -e "$RUNTIME/$daemon.pid" ] || return 0
  done
  found cron warning "no cron runs, so nothing renews certificates, copies the datastore or bounds the cluster's log - rc-update add crond default && rc-service crond start"
}

check_cgroup() {
  if [ ! -f "$CGROUP/cgroup.controllers" ]; then
    found cgroup error "no cgroup v2, without which Kubernetes does not start from 1.35 on - boot with systemd.unified_cgroup_hierarchy=1 (OpenRC: rc_cgroup_mode=unified in /etc/rc.conf, and the service cgroups in the runlevel sysinit)"
    return
  fi
  slurp "$CGROUP/cgroup.controllers"
  missing=
  for controller in cpu cpuset pids; do
    case " $LINE " in *" $controller "*) ;; *) missing="$missing $controller" ;; esac
  done
  case " $LINE " in *" memory "*) ;; *) memory_cgroup_off ;; esac
  [ -z "$missing" ] || found cgroup-controllers error "off:$missing - use a kernel that has them, and no cgroup_disable= on its command line"
}

memory_cgroup_off() {
  [ "${FIXED-}" != 1 ] || return 0
  slurp "$PROC/cmdline"
  booted=" $LINE "
  if reboot_is_coming; then
    found memory-cgroup error "the device reboots to turn it on - run again in a minute"
  elif [ "$REBOOT_ASKED" = 1 ]; then
    found memory-cgroup error "off: the reboot that was to turn it on did not come - reboot the device"
  elif [ -e "$STATE/fixed/memory-cgroup" ]; then
    found memory-cgroup error "still off after the managed reboot: the kernel does not obey cgroup_enable=memory - use a kernel with CONFIG_MEMCG"
  elif ! cmdline_file; then
    found memory-cgroup error "off - add cgroup_enable=memory to the kernel command line and reboot"
  else
    case $booted/" $LINE " in
      *" cgroup_enable=memory "*/*) found memory-cgroup error "off: the kernel does not obey cgroup_enable=memory - use a kernel with CONFIG_MEMCG" ;;
      */*" cgroup_enable=memory "*) found memory-cgroup error "off until the device boots with the line of $CMDLINE - reboot it" ;;
      *) found memory-cgroup error "off - run edge-fleet doctor $DEVICE --allow-reboot, or add cgroup_memory=1 cgroup_enable=memory to the one line of $CMDLINE and reboot" ;;
    esac
  fi
}

has_module() { [ -e "$SYS/module/$1" ] || grep -qs "/$1\.ko" "$modules/modules.dep" "$modules/modules.builtin"; }

check_modules() {
  slurp "$PROC/sys/kernel/osrelease"
  modules=$LIB_MODULES/$LINE missing=
  wanted="overlay br_netfilter nf_conntrack veth bridge $KERNEL_MODULES"
  [ "$DUMMY_ROUTE" != 1 ] || [ -e "$SYS/class/net/dummy0" ] || wanted="$wanted dummy"
  for name in $wanted; do has_module "$name" || missing="$missing $name"; done
  [ -n "$missing" ] || return 0
  if [ -f "$modules/modules.dep" ]; then
    found kernel-modules error "kernel $LINE lacks$missing - install its extra modules (Ubuntu on a Raspberry Pi: linux-modules-extra-raspi)"
  else
    found kernel-modules warning "$modules is missing and$missing not loaded: the kernel was replaced since the last boot, or has all built in - reboot after an upgrade"
  fi
}

# Seconds since 1970 for people.
utc() { date -u -d "@$1" +%FT%TZ 2>/dev/null || echo "$1"; }

# By EDGE_FLEET_NOW, the time in seconds that the workstation has told.
clock_is_off() {
  time=$(date +%s)
  if [ "$time" -lt "$CLOCK_FLOOR" ]; then
    WHY="the clock says $(utc "$time"), which is past"
    return
  fi
  case $EDGE_FLEET_NOW in '' | *[!0-9]*) return 1 ;; esac
  off=$((time - EDGE_FLEET_NOW - waited))
  WHY="the clock says $(utc "$time"), the workstation $(utc $((EDGE_FLEET_NOW + waited)))"
  [ "${off#-}" -gt "$CLOCK_TOLERANCE" ]
}

# Before the first start the time service gets its time also where the clock may be right: nobody may know better.
check_clock() {
  waited=0
  while [ "$waited" -lt "$CLOCK_SECONDS" ] && [ -d "$RUNTIME/systemd/timesync" ] && [ ! -e "$RUNTIME/systemd/timesync/synchronized" ]; do
    clock_is_off || [ "$BEFORE_START$EDGE_FLEET_NOW" = error ] || break
    sleep 1
    waited=$((waited + 1))
  done
  ! clock_is_off ||
    found clock "$BEFORE_START" "$WHY: certificates made now would not hold - set it (timedatectl set-time, date -s, or an NTP server that the device reaches) and run again"
}

check_clock_keeping() {
  [ -e "$SYS/class/rtc/rtc0" ] || [ -e "$ETC/fake-hwclock.data" ] || [ -e "$VAR/lib/systemd/timesync/clock" ] || [ -e "$VAR/lib/private/systemd/timesync/clock" ] ||
    found clock-memory warning "no real-time clock, and nothing keeps the time across a power cut - install fake-hwclock or systemd-timesyncd"
  for path in systemd/timesync chrony chronyd.pid ntpd.pid ntp.pid openntpd.sock; do
    [ ! -e "$RUNTIME/$path" ] || return 0
  done
  found clock-sync warning "no time service is running - install systemd-timesyncd or chrony"
}

# A libc takes the name of a zone that it has no file of for UTC.
has_zone() { [ "$ZONE" = UTC ] || [ -f "$ZONES/$ZONE" ]; }

check_time_zone() {
  has_zone || found time-zone error "$ZONES has no $ZONE, in which the maintenance windows are - install tzdata"
}

# mountinfo: fields 3 (major:minor), 5 (mount point), 6 (options), after " - " type, source, options of the file system.
check_mounts() {
  set -- $(awk '
    function under(path, point) { return point == "/" || index(path "/", point "/") == 1 }
    BEGIN { n = split("/var/lib /etc /usr/local", paths, " ") }
    {
      for (s = 7; s < NF && $s != "-"; s++) ;
      for (i = 1; i <= n; i++) if (under(paths[i], $5) && length($5) >= best[i]) {
        best[i] = length($5); device[i] = $3; type[i] = $(s + 1); ro[i] = ("," $6 "," $(s + 3) ",") ~ /,ro,/
      }
    }
    END { print device[1], type[1]; for (i = 1; i <= n; i++) if (ro[i]) print paths[i] }' "$PROC/self/mountinfo" 2>/dev/null)
  [ $# -ge 2 ] || return 0
  medium=$SYS/dev/block/$1
  case $2 in
    nfs* | cifs | smb*) found disk-network error "/var/lib is on $2, on which a datastore loses data - use a local disk" ;;
    tmpfs | ramfs | overlay) found disk-volatile warning "/var/lib is on $2: the cluster is gone after a reboot - turn off the read-only overlay, or mount a disk there" ;;
  esac
  shift 2
  [ $# = 0 ] || found read-only error "read-only: $* - check the disk (dmesg, fsck), or remount it writable"
  check_medium
}

check_medium() {
  for slave in "$medium"/slaves/*; do [ ! -e "$slave" ] || medium=$slave; done
  [ ! -e "$medium/partition" ] || medium=$medium/..
  kind=''
  slurp "$medium/device/type"
  case $LINE in SD) kind="an SD card" ;; MMC) kind=eMMC ;; esac
  slurp "$medium/removable"
  [ "$LINE" != 1 ] || kind=${kind:-"a removable disk"}
  journal=
  [ ! -d "$VAR/log/journal" ] || grep -Eqs '^(SystemMaxUse|Storage=volatile)' "$ETC/systemd/journald.conf" "$ETC"/systemd/journald.conf.d/*.conf || journal="a journal without SystemMaxUse"
  case $kind in '' | eMMC) journal= ;; esac
  reasons=$WRITE_HEAVY${journal:+${WRITE_HEAVY:+, }$journal}
  [ -z "$kind" ] || [ -z "$reasons" ] || found disk-flash warning "/var/lib is on $kind, and these write much: $reasons - turn them off or use an SSD"
  slurp "$medium/dev"
  case $LINE in 8:*) slurp "$medium/queue/rotational" ;; *) LINE= ;; esac
  [ "$LINE" != 1 ] || found disk-slow warning "/var/lib is on a rotating disk: the datastore waits for it - use an SSD"
}

# What interrupted downloads have left, which the next run goes on with.
parts_kib() { du -k "$STATE"/artifacts/*.part 2>/dev/null | awk '{ kib += $1 } END { print kib + 0 }'; }

check_space() {
  df -Pk "$VAR/lib" 2>/dev/null | {
    read -r _ && read -r _ total _ free _ || return 0
    case $total$free in *[!0-9]*) return 0 ;; esac
    [ "$free" -ge "${NEED_KIB:-0}" ] || [ $((free + $(parts_kib))) -ge "$NEED_KIB" ] || found disk-space "$BEFORE_START" "$free KiB free under /var/lib, $NEED_KIB are needed - free some"
    optional "${DISTRIBUTION}_space" "$free" "$total"
  }
}

check_memory() {
  [ -r "$PROC/meminfo" ] || return 0
  total=
  while read -r key value _; do
    case $key in MemTotal:) total=$((value / 1024)) && break ;; esac
  done <"$PROC/meminfo"
  [ -n "$total" ] || return 0
  [ $((total * 10)) -ge $((${MEMORY_MIB:-0} * 9)) ] || found memory-model error "$total MiB, the model says $MEMORY_MIB - give the device another model, or less memory to the GPU"
  if [ $((total * 10)) -lt $((LEAST_MIB * 9)) ]; then
    found memory-minimum error "$total MiB, $DISTRIBUTION needs $LEAST_MIB - use a larger device or another distribution"
  elif [ $((total * 10)) -lt $((ADVISED_MIB * 9)) ]; then
    found memory-minimum warning "$total MiB, $DISTRIBUTION is documented for $ADVISED_MIB - expect little room for workloads"
  fi
}

check_swap() {
  [ -r "$PROC/swaps" ] || return 0
  while read -r file _; do
    case $file in Filename | /dev/zram*) ;; *) found swap warning "swap on $file slows pods and wears flash - swapoff -a and drop it from /etc/fstab (dphys-swapfile), or use zram" ;; esac
  done <"$PROC/swaps"
}

# Bit 0: under-voltage now, bit 16: since boot. https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
check_power() {
  slurp "$SYS/devices/platform/soc/soc:firmware/get_throttled"
  case $LINE in '' | *[!0-9a-fA-F]*) return 0 ;; esac
  [ $((0x$LINE & 0x10001)) = 0 ] || found power warning "under-voltage since boot: this corrupts cards and files - use the board's own power supply"
}

check_host_name() {
  rename="hostnamectl set-hostname $DEVICE"
  ! on_openrc || rename="write $DEVICE to /etc/hostname, then: hostname $DEVICE"
  slurp "$PROC/sys/kernel/hostname"
  case $LINE in
    '' | '(none)' | localhost | localhost.* | raspberrypi | ubuntu | debian | armbian | orangepi* | rock* | jetson | nvidia-desktop)
      found host-name warning "${LINE:-empty} is the image's name, the same on every device - $rename" ;;
  esac
}

check_machine_id() {
  slurp "$ETC/machine-id"
  case $LINE in
    '' | uninitialized | *[!0-9a-f]*) found machine-id error "/etc/machine-id is ${LINE:-empty} - run systemd-machine-id-setup (OpenRC: tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id) and reboot" ;;
  esac
}
