#!/bin/sh
# Finishes the root file system of a machine that runs pods ($1), after setup-root.sh: K3s brings up containerd itself, so
# Debian's service is off; at each boot, before everything else, the machine's end of the cable gets its address, and what
# the lab may not leave as systemd-nspawn gives it is changed.
set -eu
root=$1

rm -f "$root/etc/systemd/system/multi-user.target.wants/containerd.service"
# In cgroup v1 nobody tells a systemd in a container that a session's manager has ended: each shutdown would wait two minutes.
ln -s /dev/null "$root/etc/systemd/system/user@.service"

# STAND-IN. Where the host's controllers are in cgroup v1, the machine has them there, and a file says that they are in v2: a
# device of edge-fleet has them there, and the lab's machine enforces limits all the same.
cat >"$root/usr/lib/lab/pods" <<'END'
#!/bin/sh
set -eu
if [ -d /sys/fs/cgroup/memory ]; then
  mount -o remount,rw /sys/fs/cgroup
  for group in /sys/fs/cgroup/*/; do
    mount -o remount,bind,rw "$group"
  done
  echo "cpuset cpu io memory pids" >/sys/fs/cgroup/cgroup.controllers
fi
ip address add 10.250.1.2/24 dev host0
ip link set host0 up
ip route add default via 10.250.1.1
END
chmod 755 "$root/usr/lib/lab/pods"

cat >"$root/etc/systemd/system/lab-pods.service" <<END
[Unit]
DefaultDependencies=no
Before=lab-stand-ins.service sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/lab/pods
END
ln -s /etc/systemd/system/lab-pods.service "$root/etc/systemd/system/sysinit.target.wants/"
