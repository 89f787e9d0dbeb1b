# What the checks have to know of K3s, also on a machine that has no device program yet.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317,SC2329
ALL_DISTRIBUTIONS="$ALL_DISTRIBUTIONS k3s"

k3s_started() { [ -e "$VAR/lib/rancher/k3s/server/tls" ] || [ -e "$VAR/lib/rancher/k3s/agent/client-ca.crt" ]; }

k3s_needs() {
  LEAST_MIB=1024 ADVISED_MIB=2048 PORTS='6443 10250' OWN=k3s POLICY=k3s
  case $FLANNEL_BACKEND in vxlan) KERNEL_MODULES=vxlan ;; wireguard-native) KERNEL_MODULES=wireguard ;; esac
  [ "$ROLE" != agent ] || LEAST_MIB=512 ADVISED_MIB=512 PORTS=10250 OWN='k3s|k3s-agent'
}

k3s_traces() {
  cat <<END
k3s /etc/systemd/system/k3s.service
k3s-agent /etc/systemd/system/k3s-agent.service
k3s /etc/init.d/k3s
k3s-agent /etc/init.d/k3s-agent
END
}
