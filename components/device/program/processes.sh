# What the distributions need of the system to copy a live datastore and to leave nothing behind when they are erased.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

# Copies a SQLite database that is in use, whole: by SQLite itself where it is installed. Else the file and its log are
# copied again until neither was written back or begun anew meanwhile (https://www.sqlite.org/walformat.html).
sqlite_copy() {
  [ -f "$1" ] || return 0
  if command -v sqlite3 >/dev/null &&
    timeout 300 sqlite3 -cmd '.timeout 30000' "$1" ".backup '$2'" 2>/dev/null && [ -s "$2" ]; then
    return 0
  fi
  for attempt in 1 2 3 4 5 6; do
    rm -f "$2" "$2-wal"
    seen=$(sqlite_state "$1")
    cp -p "$1" "$2" || return 1
    [ ! -f "$1-wal" ] || cp -p "$1-wal" "$2-wal" || return 1
    [ "$seen" != "$(sqlite_state "$1")" ] || return 0
    sleep "$POLL"
  done
  echo "$1 was written at each of 6 attempts to copy it"
  return 1
}

sqlite_state() {
  stat -c '%i %s %Y' "$1"
  [ ! -f "$1-wal" ] || head -c 32 "$1-wal" | cksum
}

# Process ids of programs at or below a path; also of those whose file was replaced meanwhile.
processes_of() {
  for exe in "$PROC"/[0-9]*/exe; do
    target=$(readlink "$exe" 2>/dev/null) || continue
    case $target in "$1"*) echo "$exe" | sed 's|.*/\([0-9]*\)/exe$|\1|' ;; esac
  done
}

used_by_process() { [ -n "$(processes_of "$1")" ]; }

# Ends the processes of a path with their children: a container's processes are children of its shim.
kill_by_path() {
  for pid in $(processes_of "$1"); do
    kill_tree "$pid"
  done
}

kill_tree() {
  doomed=$1 parents=$1
  while [ -n "$parents" ]; do
    children=
    for p in $parents; do
      children="$children $(cat "$PROC/$p"/task/*/children 2>/dev/null || :)"
    done
    parents=$(echo "$children" | tr -s ' \n' ' ' | sed 's/^ //; s/ $//')
    doomed="$doomed $parents"
  done
  for p in $doomed; do
    [ "$p" = "$$" ] || kill -9 "$p" 2>/dev/null || :
  done
}

# Unmounts what is mounted below the prefixes, the latest first.
unmount_below() {
  for prefix; do
    awk -v prefix="$prefix" 'index($2, prefix) == 1 { at[++n] = $2 } END { for (; n > 0; n--) print at[n] }' "$PROC/self/mounts" |
      while read -r at; do
        umount "$at" 2>/dev/null || umount -l "$at" 2>/dev/null || :
      done
  done
}

# What the kubelet leaves of its pods wherever it ran: their logs, their control groups, and the folder of its volume plugins.
forget_pods() {
  rm -rf /var/log/pods /var/log/containers /usr/libexec/kubernetes
  on_openrc || systemctl stop kubepods.slice 2>/dev/null || :
  for group in "$CGROUP/kubepods" "$CGROUP/kubepods.slice"; do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || :
  done
}

# The rules of the distributions carry these names, flannel in both cases; all others are the device's own. $1 is the folder
# in which a distribution brings iptables for a host that has none, and which goes with it. install.sh of K3s, create_killall
drop_firewall_rules() (
  PATH=$PATH:$1
  for family in iptables ip6tables; do
    rules=$("$family-save" 2>/dev/null) || continue
    printf '%s\n' "$rules" | grep -Ev 'KUBE-|CNI-|cali-|[Ff][Ll][Aa][Nn][Nn][Ee][Ll]|generated for [[:alnum:]]* pods' |
      "$family-restore" || echo "the firewall still has the cluster's rules: $family-restore failed"
  done
)
