# What the checks have to know of K0s, also on a machine that has no device program yet.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317,SC2329
ALL_DISTRIBUTIONS="$ALL_DISTRIBUTIONS k0s"

k0s_started() { [ -e "$VAR/lib/k0s/pki/ca.crt" ]; }

k0s_needs() { LEAST_MIB=1024 ADVISED_MIB=1024 PORTS='6443 10250' OWN=k0scontroller; }

# $1 is how many KiB are free, $2 of how many.
k0s_space() {
  [ $(($1 / 15)) -ge $(($2 / 100)) ] || found disk-space warning "under 15 % free, where the kubelet of K0s begins to evict - free some"
}

k0s_traces() {
  cat <<END
k0s /etc/systemd/system/k0scontroller.service
k0s-worker /etc/systemd/system/k0sworker.service
k0s /etc/init.d/k0scontroller
k0s-worker /etc/init.d/k0sworker
END
}
