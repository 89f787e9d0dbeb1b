# What can be wrong around the cluster: network, names, WASM, ports, other clusters, firewalls, access control. One function
# per check of the list in preflight.sh.
# shellcheck shell=sh disable=SC2012,SC2034,SC2086,SC2154,SC2317,SC2329

check_interface() {
  [ -z "$INTERFACE" ] || [ ! -d "$SYS/class/net" ] || [ -e "$SYS/class/net/$INTERFACE" ] ||
    found interface error "there is no $INTERFACE, which network.interface names - fix the name (ip link)"
  case $NODE_IP in '' | *:*) return 0 ;; esac
  [ -r "$PROC/net/fib_trie" ] || return 0
  awk -v ip="$NODE_IP" '/host LOCAL/ && last == ip { seen = 1; exit } { last = $2 } END { exit !seen }' "$PROC/net/fib_trie" ||
    found node-ip error "no interface has $NODE_IP, which network.nodeIp names - give it to the device, statically, or fix the setting"
}

# The interface of the best default route, in UPLINK.
default_route() {
  UPLINK='' best=''
  if [ -r "$PROC/net/route" ]; then
    while read -r name destination _ _ _ _ metric mask _; do
      [ "$destination$mask" = 0000000000000000 ] || continue
      [ -n "$best" ] && [ "$metric" -ge "$best" ] || UPLINK=$name best=$metric
    done <"$PROC/net/route"
  fi
  [ -z "$UPLINK" ] && [ -r "$PROC/net/ipv6_route" ] || return 0
  while read -r destination length _ _ _ _ _ _ _ name; do
    case $destination/$length/$name in */lo) ;; 00000000000000000000000000000000/00/*) UPLINK=$name ;; esac
  done <"$PROC/net/ipv6_route"
}

check_route() {
  default_route
  [ -n "$UPLINK" ] || [ "$DUMMY_ROUTE" = 1 ] || [ ! -r "$PROC/net/route" ] ||
    found default-route error "no default route, without which Kubernetes does not start - add one, or set network.dummyRoute: true"
}

# flannel takes 50 bytes for VXLAN, 80 for WireGuard, and keeps the MTU that it found when it started.
check_mtu() {
  uplink=${INTERFACE:-$UPLINK}
  slurp "$SYS/class/net/$uplink/mtu"
  outer=${LINE:-0}
  [ -n "$uplink" ] && [ "$outer" -gt 0 ] || return 0
  [ "$outer" -ge 1280 ] || found mtu warning "$uplink carries $outer bytes, IPv6 and tunnels need 1280 - raise its MTU"
  for pair in cni0:0 flannel.1:50 flannel-wg:80; do
    slurp "$SYS/class/net/${pair%:*}/mtu"
    [ "${LINE:-0}" -le $((outer - ${pair#*:})) ] || found mtu-mismatch warning "${pair%:*} has MTU $LINE, too much for $uplink with $outer: large packets vanish - restart $DISTRIBUTION"
  done
}

# K3s takes a resolv.conf only when all its servers can be reached from a pod.
names_servers() {
  [ -r "$1" ] || return 1
  servers=0
  while read -r key value _; do
    [ "$key" = nameserver ] || continue
    case $value in 127.* | 0.0.0.0 | ::1 | 169.254.* | fe80:*) return 1 ;; esac
    servers=$((servers + 1))
  done <"$1"
  [ "$servers" -gt 0 ]
}

check_dns() {
  if [ -n "$RESOLV_CONF" ]; then
    names_servers "$MACHINE_ROOT$RESOLV_CONF" || found dns warning "$RESOLV_CONF names no server that a pod can reach - write the servers into it"
  elif ! names_servers "$ETC/resolv.conf" && ! names_servers "$RUNTIME/systemd/resolve/resolv.conf"; then
    found dns warning "resolv.conf names no server that a pod can reach, and K3s then asks 8.8.8.8 - set network.resolvConf to a file that does"
  fi
}

# An arm64 stack ends below 2^39 where user space has 39 bits; a 32-bit shell shows 8 digits and tells nothing.
check_wasm() {
  [ -n "$WASM" ] || return 0
  on_openrc || [ -e "$RUNTIME/dbus/system_bus_socket" ] || found dbus error "there is no D-Bus, through which the WASM shims make their cgroups - install dbus"
  [ "$ARCH" = arm64 ] && [ -r "$PROC/self/maps" ] || return 0
  while read -r range line; do
    case $line in *'[stack]') range=${range%%-*} ;; *) continue ;; esac
    [ "${#range}" -le 8 ] || [ "${#range}" -gt 10 ] || found address-space warning "39-bit address space: the WASM runtimes cannot pool their memory and take 4 GiB of it per instance - expect fewer instances, or use a kernel with 48 bits"
  done <"$PROC/self/maps"
}

check_ports() {
  taken=$(awk -v ports="$PORTS" '
    BEGIN { n = split(ports, list, " "); for (i = 1; i <= n; i++) port[sprintf("%04X", list[i])] = list[i] }
    $4 == "0A" { split($2, address, ":"); if (address[2] in port) print port[address[2]] ":" $10 }' \
    "$PROC/net/tcp" "$PROC/net/tcp6" 2>/dev/null)
  told=
  for pair in $taken; do
    case " $told " in *" ${pair%:*} "*) continue ;; esac
    told="$told ${pair%:*}"
    taken_by "${pair#*:}" || found port-taken error "port ${pair%:*} is taken by $WHO - stop it, or move it to another port"
  done
}

# True when the socket with this inode is our own; else WHO has it.
taken_by() {
  pid=$(ls -l "$PROC"/[0-9]*/fd 2>/dev/null | awk -v socket="socket:[$1]" '
    /^\// { n = split($1, path, "/"); pid = path[n - 1] }
    $NF == socket { print pid; exit }')
  WHO="another process"
  [ -n "$pid" ] || { started && return; }
  [ -n "$pid" ] || return 1
  slurp "$PROC/$pid/comm"
  WHO="$LINE (process $pid)"
  belongs_to "$pid" "$OWN"
}

traces() {
  for name in $ALL_DISTRIBUTIONS; do "${name}_traces"; done
  echo 'rke2 /var/lib/rancher/rke2'
  echo 'kubeadm /etc/kubernetes/kubelet.conf'
}

# Where the device program runs, it finds the distributions by what is installed of them (`occupants` of apply.sh).
check_conflicts() {
  traces | while read -r name trace; do
    [ "${name%%-*}" != "$DISTRIBUTION" ] || continue
    case " $ALL_DISTRIBUTIONS " in *" ${name%%-*} "*)
      [ "$REPLACE" != 1 ] || continue
      ! command -v occupants >/dev/null 2>&1 || continue
      ;;
    esac
    [ ! -e "$MACHINE_ROOT$trace" ] || found conflict error "$name is installed ($trace) - remove it, or for one of$ALL_DISTRIBUTIONS set replace: true"
  done
  [ ! -e "$RUNTIME/docker.sock" ] || found docker warning "Docker runs beside the cluster: it drops forwarded packets and takes memory - remove it, or accept its firewall rules with care"
}

check_firewall() {
  [ -n "$POD_CIDR" ] || return 0
  if [ -r "$ETC/ufw/ufw.conf" ] && grep -q '^ENABLED=yes' "$ETC/ufw/ufw.conf" && ! grep -qsF "$POD_CIDR" "$ETC/ufw/user.rules"; then
    found firewall warning "ufw drops the pods' packets - ufw allow from $POD_CIDR && ufw route allow from $POD_CIDR"
  fi
  if [ -e "$RUNTIME/firewalld" ] && ! grep -Rqs "$POD_CIDR" "$ETC/firewalld/zones"; then
    found firewall warning "firewalld drops the pods' packets - firewall-cmd --permanent --zone=trusted --add-source=$POD_CIDR && firewall-cmd --reload"
  fi
}

check_access_control() {
  slurp "$SYS/fs/selinux/enforce"
  if [ "$LINE" = 1 ]; then
    lacks='' install=''
    set -- "$VAR"/lib/selinux/*/active/modules/*/"$POLICY"
    [ -e "$1" ] || { lacks="the $POLICY policy" && install=$POLICY-selinux; }
    command -v restorecon >/dev/null 2>&1 || { lacks="$lacks${lacks:+ and without }restorecon" && install="$install${install:+ }policycoreutils"; }
    [ -z "$lacks" ] || found selinux warning "SELinux enforces without $lacks: files may keep labels by which systemd or containers are denied them - install $install"
  fi
  slurp "$SYS/module/apparmor/parameters/enabled"
  [ "$LINE" != Y ] || command -v apparmor_parser >/dev/null 2>&1 ||
    found apparmor warning "AppArmor is on without apparmor_parser: containers run without a profile - install apparmor"
}
