#!/bin/sh
# Finishes a root file system of the lab's machines ($1): what an image for devices has beside packages, and the stand-ins
# for what a machine cannot have in a lab, put in place at each boot before everything else.
set -eu
root=$1
user=edge

common() {
  rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/machine-id" "$root/etc/hostname"
  echo "nameserver 192.0.2.53" >"$root/etc/resolv.conf"
  cat >"$root/etc/ssh/sshd_config.d/lab.conf" <<END
AuthorizedKeysFile /etc/ssh/authorized_keys
HostKey /etc/ssh/ssh_host_ed25519_key
UseDNS no
END
  chroot "$root" useradd -m -s /bin/sh "$user"
  # As on images for boards: the first user may do everything.
  echo "$user ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/010-image"
  chmod 440 "$root/etc/sudoers.d/010-image"
}

# STAND-INS. Settings that belong to the whole kernel are those of the lab's host: a machine reads and writes copies of
# them. Where the host gives a machine no cgroup controllers (they are bound to cgroup v1 there, or not delegated), a file
# names those that a device has; limits are then not enforced, and nothing in the lab judges them. Where the kernel has no
# interfaces of type dummy, a bridge without ports is dummy0.
stand_ins() {
  mkdir -p "$root/usr/lib/lab"
  cat >"$root/usr/lib/lab/stand-ins" <<'END'
#!/bin/sh
set -eu
mkdir -p /run/lab
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops; do
  copy=/run/lab/$(echo "$name" | tr / .)
  [ ! -e "$copy" ] || continue
  cat "/proc/sys/$name" >"$copy"
  mount --bind "$copy" "/proc/sys/$name"
done
# Last-resort routes are on an interface of type dummy, which some kernels lack.
if ! ip link add dummy0 type dummy 2>/dev/null; then
  ip link add dummy0 type bridge
else
  ip link delete dummy0
fi
# Debian's mountkernfs covers it, and OpenRC's own mounting leaves containers out.
[ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
for controller in cpuset cpu memory pids; do
  ! grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || continue
  echo "cpuset cpu io memory pids" >/run/lab/cgroup.controllers
  mount --bind /run/lab/cgroup.controllers /sys/fs/cgroup/cgroup.controllers
done
END
  chmod 755 "$root/usr/lib/lab/stand-ins"
}

systemd() {
  cat >"$root/etc/systemd/system/lab-stand-ins.service" <<END
[Unit]
DefaultDependencies=no
Before=systemd-sysctl.service sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/lab/stand-ins
END
  mkdir -p "$root/etc/systemd/system/sysinit.target.wants"
  ln -s /etc/systemd/system/lab-stand-ins.service "$root/etc/systemd/system/sysinit.target.wants/"
}

openrc() {
  cat >"$root/etc/init.d/lab-stand-ins" <<END
#!/sbin/openrc-run
depend() {
  after mountkernfs.sh
  before procps
}
start() {
  /usr/lib/lab/stand-ins
}
END
  chmod 755 "$root/etc/init.d/lab-stand-ins"
  ln -s /etc/init.d/lab-stand-ins "$root/etc/runlevels/sysinit/lab-stand-ins"
  # What a boot says goes to /var/log/rc.log.
  echo 'rc_logger="YES"' >>"$root/etc/rc.conf"
  # A machine has no terminals, and init would start log-ins on them for ever.
  sed -i '/respawn:\/sbin\/getty/d' "$root/etc/inittab"
}

common
stand_ins
if [ -d "$root/etc/runlevels" ]; then openrc; else systemd; fi
