// Command hub-apiserver is a STAND-IN for a hub cluster: from a data directory and an address to a running Kubernetes
// API in one process (kube-apiserver, kine over SQLite, and those controllers of kube-controller-manager that make sense
// without nodes). It has no scheduler, no kubelet and no workload controllers: a Deployment is stored, never run.
//
// It prints the single line "ready" on stdout once /readyz answers, and stops in order on SIGTERM, SIGINT or, with
// --stop-on-stdin-end, when the process at the other end of stdin has gone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"edge-fleet.invalid/lab/hub-apiserver/controlplane"
	"k8s.io/client-go/kubernetes"
)

// version is the Kubernetes version, set by -ldflags.
var version = "v0.0.0"

// options is the command line.
type options struct {
	// dataDir holds the database, the CAs and the kubeconfigs; created with mode 0700.
	dataDir string
	// bindAddress is the only address that the API listens on.
	bindAddress net.IP
	// port is the TCP port of the API.
	port int
	// stopOnStdinEnd ends the hub with its parent, however the parent ends.
	stopOnStdinEnd bool
}

func (o options) path(name string) string { return filepath.Join(o.dataDir, name) }

func (o options) server() string {
	return "https://" + net.JoinHostPort(o.bindAddress.String(), strconv.Itoa(o.port))
}

func main() {
	opts, err := parseOptions()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		if opts.stopOnStdinEnd {
			go func() {
				_, _ = io.Copy(io.Discard, os.Stdin)
				stop()
			}()
		}
		err = run(ctx, opts)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hub-apiserver:", err)
		os.Exit(1)
	}
}

func parseOptions() (options, error) {
	dataDir := flag.String("data-dir", "", "folder for the database, certificates and kubeconfigs (required)")
	bindAddress := flag.String("bind-address", "127.0.0.1", "IP address to listen on")
	port := flag.Int("port", 6443, "TCP port to listen on")
	stopOnStdinEnd := flag.Bool("stop-on-stdin-end", false, "stop when stdin ends")
	showVersion := flag.Bool("version", false, "print the Kubernetes version and exit")
	flag.Parse()
	if *showVersion {
		fmt.Println(version)
		os.Exit(0)
	}
	ip := net.ParseIP(*bindAddress)
	if *dataDir == "" || ip == nil {
		return options{}, errors.New("usage: hub-apiserver --data-dir DIR [--bind-address IP] [--port PORT]")
	}
	absolute, err := filepath.Abs(*dataDir)
	return options{dataDir: absolute, bindAddress: ip, port: *port, stopOnStdinEnd: *stopOnStdinEnd}, err
}

// run makes the credentials and runs the control plane until ctx ends.
func run(ctx context.Context, opts options) error {
	if err := errors.Join(os.MkdirAll(opts.dataDir, 0o700), os.Chmod(opts.dataDir, 0o700)); err != nil {
		return err
	}
	if err := writeCredentials(opts); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	return controlplane.Run(ctx, controlplane.Options{
		Database:    opts.path("state.db"),
		Socket:      opts.path("kine.sock"),
		APIServer:   apiserverFlags(opts),
		Controllers: controllerFlags(opts),
		Kubeconfig:  opts.path(adminKubeconfig),
	}, func(context.Context, *kubernetes.Clientset) error {
		fmt.Println("ready")
		return nil
	})
}
