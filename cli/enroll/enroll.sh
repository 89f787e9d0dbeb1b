#!/bin/sh
# Enrolls one device: makes its identity key if there is none, and prints one JSON line with the public key and the facts.
# Installs nothing, reads nothing, may be run again at any time. The private key never leaves the device.
set -eu

STATE=${EDGE_FLEET_STATE:-/var/lib/edge-fleet}
MACHINE_ID=${EDGE_FLEET_MACHINE_ID:-/etc/machine-id}
OS_RELEASE=${EDGE_FLEET_OS_RELEASE:-/etc/os-release}
MEMINFO=${EDGE_FLEET_MEMINFO:-/proc/meminfo}
KEY=$STATE/identity.key

fail() {
  printf 'edge-fleet: %s\n' "$1" >&2
  exit 1
}

check_system() {
  [ "$(uname -s)" = Linux ] || fail "the device runs $(uname -s), not Linux - use a Linux image"
  [ "$(id -u)" -eq 0 ] || fail "not root - set ssh.user to root or allow password-less sudo"
  command -v ssh-keygen >/dev/null 2>&1 || fail "ssh-keygen is missing - install the OpenSSH client (openssh-client, openssh-keygen)"
  command -v sha256sum >/dev/null 2>&1 || fail "sha256sum is missing - install coreutils or busybox"
}

make_state_directory() {
  mkdir -p "$STATE" 2>/dev/null || fail "$STATE cannot be made - check that the file system is writable"
  chmod 0700 "$STATE"
}

# The link makes the key appear whole and only once, whatever runs at the same time or loses power.
make_identity() {
  [ ! -e "$KEY" ] || return 0
  new=$(mktemp -d "$STATE/enroll.XXXXXX") || fail "$STATE is not writable - check the file system and its free space"
  trap 'rm -rf "$new"' EXIT
  ssh-keygen -q -t ecdsa -b 256 -m PKCS8 -N '' -C '' -f "$new/identity.key" >/dev/null 2>&1 ||
    fail "ssh-keygen could not make an ECDSA P-256 key - check free space and the OpenSSH version"
  chmod 0600 "$new/identity.key"
  sync
  ln "$new/identity.key" "$KEY" 2>/dev/null || [ -e "$KEY" ] || fail "$KEY could not be written - check the file system"
  rm -rf "$new"
  trap - EXIT
}

read_identity() {
  chmod 0600 "$KEY"
  identity=$(ssh-keygen -y -P '' -f "$KEY" 2>/dev/null | cut -d ' ' -f 1,2) || identity=
  case $identity in
    'ecdsa-sha2-nistp256 '?*) ;;
    *) fail "$KEY is not an ECDSA P-256 key without passphrase - remove it and enroll again" ;;
  esac
}

read_facts() {
  case $(uname -m) in
    x86_64 | amd64) architecture=amd64 ;;
    aarch64 | arm64 | armv8*) architecture=arm64 ;;
    *) architecture=$(uname -m) ;;
  esac
  memory=$(awk '/^MemTotal:/ { printf "%d", $2 / 1024; exit }' "$MEMINFO")
  os=
  if [ -r "$OS_RELEASE" ]; then os=$(sed -n 's/^PRETTY_NAME=//p' "$OS_RELEASE" | head -n 1); fi
  machine=
  if [ -s "$MACHINE_ID" ]; then machine=$(tr -d '\n' <"$MACHINE_ID" | sha256sum | cut -d ' ' -f 1); fi
}

# Plain text for a JSON string: no quotes, backslashes or control characters.
plain() {
  printf '%s' "$1" | tr -d '"\\\000-\037\177' | cut -c 1-128
}

print_result() {
  printf '{"edgeFleet":1,"identityKey":"%s","architecture":"%s","memoryMiB":%s,"os":"%s","kernel":"%s","machineId":"%s","time":%s}\n' \
    "$identity" "$(plain "$architecture")" "${memory:-0}" "$(plain "$os")" "$(plain "$(uname -r)")" "$machine" "$(date +%s)"
}

main() {
  umask 077
  check_system
  make_state_directory
  make_identity
  read_identity
  read_facts
  print_result
}

main </dev/null
