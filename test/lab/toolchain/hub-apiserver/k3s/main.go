// Command k3s is a STAND-IN for the K3s binary, in one process: the real Kubernetes API server and controllers of the
// pinned release over SQLite, started with what a device's configuration says, and the real kubectl. In the place of the
// scheduler it binds every pod that may run. What runs pods is the package kubelet beside it, which stands in for kubelet,
// containerd, kube-proxy and more, runs the pods whose images the device has a table of, and calls all running where it has
// none. Where containerd, runc, kubelet and kube-proxy are on the PATH, they run the pods instead (agent.go), but for a
// network and names that are stand-ins still: K3s' own containerd and its flannel are proven by neither.
// It has no join, and of K3s' own manifests only those in packaged/.
//
// The first argument is the release that it pretends to be, so that one binary serves as several.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: k3s RELEASE server [never-ready] | k3s RELEASE kubectl ARGUMENT..."))
	}
	switch release, command, rest := os.Args[1], os.Args[2], os.Args[3:]; command {
	case "server":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		if err := runServer(ctx, release, len(rest) == 1 && rest[0] == "never-ready"); err != nil {
			fail(err)
		}
	case "kubectl":
		kubectl(rest)
	default:
		fail(fmt.Errorf("the stand-in has no command %s", command))
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "level=fatal msg=%q\n", err)
	os.Exit(1)
}

// kubectl runs the real one, which K3s points at its own kubeconfig where nothing else is asked for.
func kubectl(arguments []string) {
	os.Args = append([]string{"kubectl"}, arguments...)
	if _, err := os.Stat(kubeconfigPath); err == nil && os.Getenv("KUBECONFIG") == "" {
		os.Setenv("KUBECONFIG", kubeconfigPath)
	}
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
