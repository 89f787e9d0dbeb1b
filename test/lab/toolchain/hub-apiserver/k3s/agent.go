package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Where K3s keeps what its agent runs with. pkg/agent/config/config.go, pkg/agent/containerd/containerd.go and
// pkg/daemons/agent/agent_linux.go of v1.36.2+k3s1
const (
	agentFolder      = dataFolder + "/agent"
	containerdConfig = agentFolder + "/etc/containerd/config.toml"
	containerdSocket = "/run/k3s/containerd/containerd.sock"
	kubeletFolder    = agentFolder + "/etc/kubelet.conf.d"
	networkFolder    = agentFolder + "/etc/cni/net.d"
	imagesFolder     = agentFolder + "/images"
)

// pauseImage is what K3s holds a pod's namespaces by (pkg/cli/cmds/agent.go, DefaultPauseImage).
const pauseImage = "rancher/mirrored-pause:3.6"

// agentParts are what runs pods for real; a device that has them all on its PATH gets no stand-in for the kubelet.
var agentParts = []string{"containerd", "ctr", "runc", "kubelet", "kube-proxy"}

func hasAgent() bool {
	for _, part := range agentParts {
		if _, err := exec.LookPath(part); err != nil {
			return false
		}
	}
	return true
}

// runAgent starts containerd, imports the archives of images that the device was given, and starts the kubelet and
// kube-proxy; when one of them ends, K3s does. STAND-IN for K3s' own containerd, which is a newer one, and for flannel, in whose
// place is the bridge of the CNI plugins: it knows no network policies.
func (d device) runAgent(ctx context.Context) error {
	if err := errors.Join(d.writeKubeletConfig(), d.writeNetworkConfig()); err != nil {
		return err
	}
	start(ctx, "containerd", "--config="+containerdConfig, "--address="+containerdSocket,
		"--root="+agentFolder+"/containerd", "--state=/run/k3s/containerd")
	if err := importImages(ctx); err != nil {
		return err
	}
	kubelet := []string{"--config-dir=" + kubeletFolder, "--kubeconfig=" + nodeKubeconfig, "--hostname-override=" + d.name,
		"--node-ip=" + d.address.String(), "--cert-dir=" + agentFolder + "/kubelet"}
	for _, argument := range d.config["kubelet-arg"] {
		kubelet = append(kubelet, "--"+argument)
	}
	start(ctx, "kubelet", kubelet...)
	// A machine of the lab may not change what its whole kernel tracks of connections.
	start(ctx, "kube-proxy", "--kubeconfig="+adminKubeconfig, "--hostname-override="+d.name, "--proxy-mode=iptables",
		"--cluster-cidr="+d.clusterCIDR(), "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s",
		"--conntrack-tcp-timeout-close-wait=0s")
	return nil
}

// start runs a program until ctx ends. It dies with this process, as it does with K3s, and containers go on.
func start(ctx context.Context, name string, arguments ...string) {
	go func() {
		// Pdeathsig comes when the thread ends that has started the program.
		runtime.LockOSThread()
		command := exec.CommandContext(ctx, name, arguments...)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err := command.Run()
		if ctx.Err() == nil {
			fail(fmt.Errorf("%s ended: %v", name, err))
		}
	}()
}

// importImages reads every archive, as K3s does at each start. https://docs.k3s.io/installation/airgap
func importImages(ctx context.Context) error {
	for {
		connection, err := net.Dial("unix", containerdSocket)
		if err == nil {
			connection.Close()
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	archives, err := filepath.Glob(imagesFolder + "/*.tar")
	if err != nil {
		return err
	}
	for _, archive := range archives {
		said, err := exec.CommandContext(ctx, "ctr", "--address="+containerdSocket, "--namespace=k8s.io", "images", "import", archive).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", archive, err, said)
		}
	}
	return nil
}

// writeAgentContainerd is what K3s writes for runc, in the form of containerd 1.6. A machine of a lab may lack
// CAP_SYS_RESOURCE, without which no process gets the score of a pod that K3s asks for.
func writeAgentContainerd() error {
	return os.WriteFile(containerdConfig, fmt.Appendf(nil, `version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %q
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = %q
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
`, pauseImage, networkFolder), 0o600)
}

// writeKubeletConfig puts what K3s gives the kubelet before the files of the device. The cluster's DNS is this process.
func (d device) writeKubeletConfig() error {
	lines := []string{
		"apiVersion: kubelet.config.k8s.io/v1beta1",
		"kind: KubeletConfiguration",
		"cgroupDriver: cgroupfs",
		"failSwapOn: false",
		"clusterDomain: cluster.local",
		"clusterDNS: [" + d.address.String() + "]",
		"containerRuntimeEndpoint: unix://" + containerdSocket,
		"protectKernelDefaults: " + d.one("protect-kernel-defaults", "false"),
	}
	// K3s does not start there; a lab may have no other kernel.
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err == nil {
		lines = append(lines, "failCgroupV1: false")
	}
	if file := d.one("resolv-conf", ""); file != "" {
		lines = append(lines, "resolvConf: "+file)
	}
	return writeBelow(kubeletFolder, "00-k3s-defaults.conf", strings.Join(lines, "\n")+"\n")
}

// writeNetworkConfig gives the pods the first 256 addresses of the cluster's.
func (d device) writeNetworkConfig() error {
	address, _, err := net.ParseCIDR(d.clusterCIDR())
	if err != nil {
		return err
	}
	return writeBelow(networkFolder, "10-bridge.conflist", fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "cbr0", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "%s/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
`, address))
}

func (d device) clusterCIDR() string { return d.one("cluster-cidr", "10.42.0.0/16") }

func writeBelow(folder, name, text string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600)
}
