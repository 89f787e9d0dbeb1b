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
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	logsapi "k8s.io/component-base/logs/api/v1"
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

// run starts kine, the API server and the controllers in this order and stops them in the reverse one.
func run(ctx context.Context, opts options) error {
	// Two components in one process each apply the logging configuration; the second must not be an error.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	if err := errors.Join(os.MkdirAll(opts.dataDir, 0o700), os.Chmod(opts.dataDir, 0o700)); err != nil {
		return err
	}
	if err := writeCredentials(opts); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	stopKine, err := startKine(opts)
	if err != nil {
		return fmt.Errorf("kine: %w", err)
	}
	defer stopKine()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	apiserver := make(chan error, 1)
	go func() { apiserver <- runAPIServer(ctx, opts) }()
	if err := waitReady(ctx, opts, apiserver); err != nil {
		return err
	}
	controllers := make(chan error, 1)
	go func() { controllers <- runControllers(ctx, opts) }()
	fmt.Println("ready")

	select {
	case err = <-controllers:
		cancel()
		return errors.Join(unexpected(ctx, "kube-controller-manager", err), <-apiserver)
	case err = <-apiserver:
		return unexpected(ctx, "kube-apiserver", err)
	}
}

// unexpected is nil when a component ended because it was told to.
func unexpected(ctx context.Context, component string, err error) error {
	if err == nil && ctx.Err() == nil {
		err = errors.New("ended by itself")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", component, err)
	}
	return nil
}

// waitReady asks /readyz as the admin until it answers ok or the API server has ended.
func waitReady(ctx context.Context, opts options, apiserver <-chan error) error {
	config, err := clientcmd.BuildConfigFromFlags("", opts.path(adminKubeconfig))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for {
		request, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(request)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case err := <-apiserver:
			return fmt.Errorf("kube-apiserver ended before it was ready: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
