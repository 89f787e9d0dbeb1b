# One container of the stand-in for kubelet and containerd: the functions with which the script that the stand-in has
# generated for it, `start`, makes its root and becomes its program. Runs in mount and process namespaces of the
# container's own. ROOT is where the root is made.
# shellcheck shell=sh disable=SC2034

# The image: the device's programs and libraries, the image's own in /usr/local/bin. $1 is the folder of those.
image() {
  mount -t tmpfs -o mode=755 container "$ROOT"
  mkdir -p "$ROOT/usr" "$ROOT/etc" "$ROOT/proc" "$ROOT/dev" "$ROOT/var/lib" "$ROOT/var/run" "$ROOT/root" "$ROOT/home"
  mkdir -m 1777 "$ROOT/tmp"
  mount --bind /usr "$ROOT/usr"
  mount --bind "$1" "$ROOT/usr/local/bin"
  mount -o remount,bind,ro "$ROOT/usr"
  mount -o remount,bind,ro "$ROOT/usr/local/bin"
  for name in bin sbin lib lib64; do
    if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$ROOT/$name"; fi
  done
  for name in ssl ld.so.cache ld.so.conf ld.so.conf.d alternatives localtime; do
    if [ -e "/etc/$name" ]; then place "/etc/$name" "/etc/$name" ro; fi
  done
  echo 'hosts: files dns' >"$ROOT/etc/nsswitch.conf"
  mount -t proc proc "$ROOT/proc"
  mount -t tmpfs -o mode=755 dev "$ROOT/dev"
  for name in null zero full random urandom tty; do
    : >"$ROOT/dev/$name"
    mount --bind "/dev/$name" "$ROOT/dev/$name"
  done
  mkdir -m 1777 "$ROOT/dev/shm"
  for pair in fd: stdin:/0 stdout:/1 stderr:/2; do
    ln -s "/proc/self/fd${pair#*:}" "$ROOT/dev/${pair%%:*}"
  done
}

# A folder of the image. $1 uid, $2 gid, $3 mode, $4 path
folder() {
  mkdir -p "$ROOT$4"
  chown "$1:$2" "$ROOT$4"
  chmod "$3" "$ROOT$4"
}

# A link of the image. $1 path, $2 target
link() {
  mkdir -p "$ROOT${1%/*}"
  ln -sfn "$2" "$ROOT$1"
}

# A file or folder at a place. $1 source, $2 place, $3 ro or rw
place() {
  if [ -d "$1" ]; then mkdir -p "$ROOT$2"; else
    mkdir -p "$ROOT${2%/*}"
    [ -e "$ROOT$2" ] || : >"$ROOT$2"
  fi
  mount --bind "$1" "$ROOT$2"
  [ "$3" = rw ] || mount -o remount,bind,ro "$ROOT$2"
}

# The root as the program finds it. $1 ro or rw
seal() { [ "$1" = rw ] || mount -o remount,ro "$ROOT"; }
