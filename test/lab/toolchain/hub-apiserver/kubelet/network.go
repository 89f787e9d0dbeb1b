package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/utils/net"
)

// sandboxScript is what keeps a pod's namespaces: a process that sleeps, as the pause container.
const sandboxScript = `hostname "$1"
ip link set lo up
echo $$ >pid.new
mv pid.new pid
while :; do sleep 2147483647; done`

// gateway is what a pod's default route names: the other end of its wire answers for it, whatever the node's addresses are.
const gateway = "169.254.1.1"

// forwarding is a setting of the node's own network, which a mount of /proc outside of its reach keeps read-only.
const forwarding = `mount -t proc proc /proc
echo 1 >/proc/sys/net/ipv4/ip_forward`

// wire connects a pod's network with the node's by a route of its own, so that each packet passes the node's rules.
const wire = `ip link add "$1" type veth peer name eth0 netns "$2"
ip addr add "$4/32" dev "$1"
ip link set "$1" up
nsenter --target "$2" --net sh -euc 'ip addr add "$1/32" dev eth0
  ip link set eth0 up
  ip route add "$2" dev eth0
  ip route add default via "$2" dev eth0' sh "$3" "$4"
ip route replace "$3/32" dev "$1"`

// network is what the services and policies of the cluster come to on this node.
type network struct {
	forwards bool
	pods     *net.IPNet
	rules    string
	// hosts are the lines of the names of Services by namespace; those of all namespaces are under "".
	hosts map[string]string
}

// syncNetwork puts Services and policies in front of the pods.
func (r *Runner) syncNetwork(ctx context.Context, pods []*corev1.Pod) error {
	if r.network.pods == nil {
		node, err := r.Own.CoreV1().Nodes().Get(ctx, r.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if _, r.network.pods, err = net.ParseCIDR(node.Spec.PodCIDR); err != nil {
			return fmt.Errorf("the node has no addresses for pods yet")
		}
	}
	if !r.network.forwards {
		if err := run(exec.Command("unshare", "--mount", "sh", "-euc", forwarding)); err != nil {
			return err
		}
		r.network.forwards = true
	}
	services, err := r.Admin.CoreV1().Services("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	slicesList, err := r.Admin.DiscoveryV1().EndpointSlices("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	r.services = make([]*corev1.Service, len(services.Items))
	for i := range services.Items {
		r.services[i] = &services.Items[i]
	}
	r.nameServices(slicesList.Items)
	policies, err := r.policyRules(ctx, pods)
	if err != nil {
		return err
	}
	return r.loadRules(r.serviceRules(slicesList.Items) + policies)
}

func (r *Runner) loadRules(text string) error {
	if text == r.network.rules {
		return nil
	}
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(text)
	if err := run(command); err != nil {
		return err
	}
	r.network.rules = text
	return nil
}

// serviceRules stand in for kube-proxy: a Service's address becomes that of its first endpoint, or is refused.
func (r *Runner) serviceRules(endpoints []discoveryv1.EndpointSlice) string {
	var to, none []string
	for _, service := range r.services {
		if service.Spec.ClusterIP == "" || service.Spec.ClusterIP == corev1.ClusterIPNone {
			continue
		}
		for _, port := range service.Spec.Ports {
			protocol := strings.ToLower(string(port.Protocol))
			match := fmt.Sprintf("ip daddr %s %s dport %d", service.Spec.ClusterIP, protocol, port.Port)
			if target := targetOf(service, port, endpoints); target != "" {
				to = append(to, fmt.Sprintf("    %s dnat to %s\n", match, target))
			} else {
				none = append(none, fmt.Sprintf("    %s reject\n", match))
			}
		}
	}
	slices.Sort(to)
	slices.Sort(none)
	return fmt.Sprintf(`table ip standin-services
delete table ip standin-services
table ip standin-services {
  chain services {
%s  }
  chain prerouting { type nat hook prerouting priority dstnat; jump services; }
  chain output { type nat hook output priority -100; jump services; }
  chain postrouting { type nat hook postrouting priority srcnat; ip saddr %[2]s ip daddr != %[2]s masquerade; }
  chain absent {
%[3]s  }
  chain forward { type filter hook forward priority filter; jump absent; }
  chain local { type filter hook output priority filter; jump absent; }
}
`, strings.Join(to, ""), r.network.pods, strings.Join(none, ""))
}

func targetOf(service *corev1.Service, port corev1.ServicePort, endpoints []discoveryv1.EndpointSlice) string {
	for _, slice := range endpoints {
		if slice.Namespace != service.Namespace || slice.Labels[discoveryv1.LabelServiceName] != service.Name {
			continue
		}
		for _, own := range slice.Ports {
			if own.Port == nil || own.Name == nil || *own.Name != port.Name {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				if len(endpoint.Addresses) > 0 && (endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready) {
					return fmt.Sprintf("%s:%d", endpoint.Addresses[0], *own.Port)
				}
			}
		}
	}
	return ""
}

// nameServices stands in for CoreDNS: a pod finds the names of Services, and those that the node's /etc/hosts has.
func (r *Runner) nameServices(endpoints []discoveryv1.EndpointSlice) {
	hosts := map[string]string{}
	add := func(service *corev1.Service, address string) {
		full := service.Name + "." + service.Namespace
		hosts[""] += fmt.Sprintf("%s\t%s.svc.cluster.local %s.svc %s\n", address, full, full, full)
		hosts[service.Namespace] += fmt.Sprintf("%s\t%s\n", address, service.Name)
	}
	for _, service := range r.services {
		if service.Spec.ClusterIP != corev1.ClusterIPNone {
			add(service, service.Spec.ClusterIP)
			continue
		}
		for _, slice := range endpoints {
			if slice.Namespace != service.Namespace || slice.Labels[discoveryv1.LabelServiceName] != service.Name {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				add(service, endpoint.Addresses[0])
			}
		}
	}
	node, _ := os.ReadFile("/etc/hosts")
	for line := range strings.Lines(string(node)) {
		if !strings.HasPrefix(line, "127.") && !strings.HasPrefix(line, "#") {
			hosts[""] += line
		}
	}
	r.network.hosts = hosts
}

// keepSandbox makes a pod's namespaces and its address, and tells it the names of the cluster.
func (r *Runner) keepSandbox(pod *corev1.Pod) error {
	uid := string(pod.UID)
	address := r.Address.String()
	if !pod.Spec.HostNetwork {
		folder := sandboxFolder(uid)
		known, err := os.ReadFile(filepath.Join(folder, "ip"))
		if _, missing := sandboxPID(uid); err != nil || missing != nil {
			if known, err = r.makeSandbox(pod, folder); err != nil {
				endSandbox(uid)
				return fmt.Errorf("Failed to create pod sandbox: %w", err)
			}
		}
		address = string(known)
	}
	pod.Status.PodIP, pod.Status.PodIPs = address, []corev1.PodIP{{IP: address}}
	text := fmt.Sprintf("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n%s\t%s\n%s%s",
		address, pod.Name, r.network.hosts[pod.Namespace], r.network.hosts[""])
	path := filepath.Join(podFolder, uid, "etc-hosts")
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func (r *Runner) makeSandbox(pod *corev1.Pod, folder string) ([]byte, error) {
	endSandbox(string(pod.UID))
	if r.network.pods == nil {
		return nil, errors.New("the node has no addresses for pods yet")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	name := pod.Name
	command := exec.Command("unshare", "--net", "--uts", "--ipc", "--", filepath.Join(r.Runtime, shimName), "-euc", sandboxScript, "sh", name)
	command.Dir = folder
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	go command.Wait()
	var pid int
	for range 100 {
		if pid = readNumber(filepath.Join(folder, "pid")); pid != 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if pid == 0 {
		return nil, errors.New("its sandbox did not start within 2 s")
	}
	address, err := r.freeAddress()
	if err != nil {
		return nil, err
	}
	link := "veth" + strings.ReplaceAll(string(pod.UID), "-", "")[:8]
	if err := run(exec.Command("sh", "-euc", wire, "sh", link, fmt.Sprint(pid), address, gateway)); err != nil {
		return nil, err
	}
	return []byte(address), os.WriteFile(filepath.Join(folder, "ip"), []byte(address), 0o644)
}

// freeAddress is the lowest address of the node's range that no pod has.
func (r *Runner) freeAddress() (string, error) {
	taken := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(runFolder, "*", "sandbox", "ip"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			taken[string(data)] = true
		}
	}
	for index := 2; index < 255; index++ {
		address, err := utilnet.GetIndexedIP(r.network.pods, index)
		if err != nil {
			return "", err
		}
		if !taken[address.String()] {
			return address.String(), nil
		}
	}
	return "", errors.New("no IP addresses available in range set")
}

func sandboxFolder(uid string) string { return filepath.Join(runFolder, uid, "sandbox") }

func sandboxPID(uid string) (int, error) {
	pid := readNumber(filepath.Join(sandboxFolder(uid), "pid"))
	if !alive(pid) {
		return 0, errors.New("its sandbox has ended")
	}
	return pid, nil
}

// endSandbox ends a pod's namespaces; its wire goes with them.
func endSandbox(uid string) {
	if pid, err := sandboxPID(uid); err == nil {
		syscall.Kill(onlyChild(pid), syscall.SIGKILL)
		syscall.Kill(pid, syscall.SIGKILL)
	}
	os.RemoveAll(sandboxFolder(uid))
}

func (r *Runner) host(pod *corev1.Pod) string { return pod.Status.PodIP }

func run(command *exec.Cmd) error {
	var said bytes.Buffer
	command.Stderr = &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command.Args[:1], " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}
