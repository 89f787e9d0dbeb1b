package controlplane

import (
	"context"
	"net"
	"os"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/drivers/sqlite"
	"github.com/k3s-io/kine/pkg/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// emulatedEtcd is the etcd version that kine reports, as in K3s of the same Kubernetes minor.
const emulatedEtcd = "3.6.13"

// startKine serves the etcd API over SQLite on a unix socket, so that only this user's processes reach it. It wires the SQLite driver by itself because kine's own
// endpoint package links every driver and an etcd server. The returned function stops it.
func startKine(database, socket string) (func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	_, backend, err := sqlite.New(ctx, &wg, &drivers.Config{
		DataSourceName:   database + "?" + sqlite.DefaultParams,
		CompactInterval:  5 * time.Minute,
		CompactTimeout:   5 * time.Second,
		CompactMinRetain: 1000,
		CompactBatchSize: 1000,
		PollBatchSize:    500,
	})
	if err != nil {
		cancel()
		return nil, err
	}
	if err := backend.Start(ctx); err != nil {
		cancel()
		return nil, err
	}
	listener, err := listenUnix(socket)
	if err != nil {
		cancel()
		return nil, err
	}
	grpcServer := grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
		MinTime:             5 * time.Second,
		PermitWithoutStream: true,
	}), grpc.MaxRecvMsgSize(16<<20), grpc.MaxSendMsgSize(1<<31-1))
	server.New(backend, "unix", 5*time.Second, emulatedEtcd).Register(grpcServer)
	go func() { _ = grpcServer.Serve(listener) }()
	return func() {
		grpcServer.Stop()
		cancel()
		wg.Wait()
	}, nil
}

func listenUnix(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return listener, os.Chmod(path, 0o600)
}
