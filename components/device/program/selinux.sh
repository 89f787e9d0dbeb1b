# Labels on devices with SELinux. A label is the inode's and belongs to a place, so that what is put gets the one that the
# policy has for its path, and no inode is in two places. As upstream's installer does it: install.sh of K3s, setup_selinux
# and restore_systemd_service_file_context, branches release-1.32, -1.34 and main; the paths of the policy are in
# https://github.com/k3s-io/k3s-selinux/blob/v1.6.stable.1/policy/centos9/k3s.fc
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

selinux_on() { [ -e "$SYS/fs/selinux/enforce" ]; }

# Puts the contents of $1 at $2: by a link where no label stands against it.
link_or_copy() { { ! selinux_on && ln "$1" "$2" 2>/dev/null; } || cp -p "$1" "$2"; }

# Labels what was just put at $1.
label() {
  selinux_on || return 0
  restorecon -R -i "$1" 2>/dev/null || echo "$1 keeps the label of its folder: restorecon failed - install policycoreutils"
  for each in $ALL_DISTRIBUTIONS; do optional "${each}_label" "$1"; done
}

# Makes a folder that everybody may look into, with those above it, and labels those that were not there.
make_folder() {
  [ ! -d "$1" ] || return 0
  topmost=$1
  while [ ! -d "${topmost%/*}" ] && [ -n "${topmost%/*}" ]; do topmost=${topmost%/*}; done
  (umask 022 && mkdir -p "$1")
  label "$topmost"
}
