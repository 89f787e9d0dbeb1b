// Package controlplane runs a Kubernetes API in one process: kine over SQLite, kube-apiserver and kube-controller-manager,
// each with the flags that the caller gives it. It has no scheduler and no kubelet.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	logsapi "k8s.io/component-base/logs/api/v1"
)

// Options is one control plane.
type Options struct {
	// Database is the SQLite file; its folder must exist.
	Database string
	// Socket is where kine listens. It is not among the flags of the API server.
	Socket string
	// APIServer and Controllers are flags, `--name=value`.
	APIServer, Controllers []string
	// Kubeconfig is an administrator's, for the question whether the API is ready.
	Kubeconfig string
}

// Run starts kine, the API server and the controllers in this order, and stops them in the reverse one when ctx ends.
// ready is called once /readyz answers; when it fails, everything ends.
func Run(ctx context.Context, opts Options, ready func(context.Context, *kubernetes.Clientset) error) error {
	// Two components in one process each apply the logging configuration; the second must not be an error.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	stopKine, err := startKine(opts.Database, opts.Socket)
	if err != nil {
		return fmt.Errorf("kine: %w", err)
	}
	defer stopKine()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	apiserver := make(chan error, 1)
	flags := append([]string{"--etcd-servers=unix://" + opts.Socket}, opts.APIServer...)
	go func() { apiserver <- runAPIServer(ctx, flags) }()
	client, err := waitReady(ctx, opts.Kubeconfig, apiserver)
	if err != nil {
		return err
	}
	controllers := make(chan error, 1)
	go func() { controllers <- runControllers(ctx, opts.Controllers) }()
	if err := ready(ctx, client); err != nil {
		cancel()
		return errors.Join(err, <-apiserver)
	}

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

// waitReady asks /readyz until it answers ok or the API server has ended.
func waitReady(ctx context.Context, kubeconfig string, apiserver <-chan error) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	// The bound of a client that is one of many is none of the cluster's own.
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	for {
		request, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(request)
		cancel()
		if err == nil {
			return client, nil
		}
		select {
		case err := <-apiserver:
			return nil, fmt.Errorf("kube-apiserver ended before it was ready: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
