# What the checks have to know of MicroK8s, also on a machine that has no device program yet.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317,SC2329
ALL_DISTRIBUTIONS="$ALL_DISTRIBUTIONS microk8s"

microk8s_started() { [ -e "$VAR/snap/microk8s/current/certs/ca.crt" ]; }

microk8s_needs() { KERNEL_MODULES=vxlan TOOLS=snap LEAST_MIB=2048 ADVISED_MIB=4096 PORTS='16443 10250' OWN='snap.microk8s.*'; }

# $2 is how many KiB the disk has.
microk8s_space() {
  [ "$2" -ge 19000000 ] || found disk-space warning "the disk has $(($2 / 1048576)) GiB, MicroK8s wants 20 GB - use a larger disk or K3s"
}

microk8s_traces() { echo 'microk8s /var/snap/microk8s'; }
