package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"strconv"
	"strings"

	"edge-fleet.invalid/lab/hub-apiserver/controlplane"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
)

// Names in the data directory.
const (
	serviceAccountKey    = "service-account.key"
	adminKubeconfig      = "admin.kubeconfig"
	controllerKubeconfig = "controllers.kubeconfig"
	serverCA             = "server-ca"
	clientCA             = "client-ca"
	servingCertificate   = "serving"
)

// serviceAccountIssuer is the issuer in the tokens; the name that K3s and kubeadm use.
const serviceAccountIssuer = "https://kubernetes.default.svc.cluster.local"

// controllers are the ones that a cluster without nodes needs: namespaces end, accounts and their tokens exist, owned
// objects are collected, aggregated roles (admin, edit, view) are filled, quotas count.
var controllers = []string{
	names.NamespaceController,
	names.ServiceAccountController,
	names.ServiceAccountTokenController,
	names.GarbageCollectorController,
	names.RootCACertificatePublisherController,
	names.ClusterRoleAggregationController,
	names.ResourceQuotaController,
}

func (o options) pair(name string) controlplane.Pair { return controlplane.Pair(o.path(name)) }

// writeCredentials reuses the CAs and the service account key of an earlier start and issues the leaf certificates anew.
func writeCredentials(opts options) error {
	server, err := controlplane.LoadOrCreateAuthority(opts.pair(serverCA), "edge-fleet lab hub "+serverCA)
	if err != nil {
		return err
	}
	client, err := controlplane.LoadOrCreateAuthority(opts.pair(clientCA), "edge-fleet lab hub "+clientCA)
	if err != nil {
		return err
	}
	if _, err := controlplane.LoadOrCreateKey(opts.path(serviceAccountKey)); err != nil {
		return err
	}
	// It names the address listened on, loopback, and the names a client inside a cluster would use.
	if err := server.WriteCertificate(opts.pair(servingCertificate), x509.Certificate{
		Subject:     pkix.Name{CommonName: "hub-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{opts.bindAddress, net.IPv4(127, 0, 0, 1), net.IPv4(10, 43, 0, 1)},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
	}); err != nil {
		return err
	}
	config := controlplane.Kubeconfig{Cluster: "hub", Server: opts.server(), ServerCA: server, ClientCA: client}
	config.User, config.Groups = "hub-admin", []string{"system:masters"}
	if err := config.Write(opts.path(adminKubeconfig)); err != nil {
		return err
	}
	config.User, config.Groups = "system:kube-controller-manager", nil
	return config.Write(opts.path(controllerKubeconfig))
}

// apiserverFlags never lets the endpoint reconciler run: without pods nobody uses the kubernetes Service's endpoints, and
// the reconciler refuses a loopback address.
func apiserverFlags(opts options) []string {
	return []string{
		"--bind-address=" + opts.bindAddress.String(),
		"--advertise-address=" + opts.bindAddress.String(),
		"--secure-port=" + strconv.Itoa(opts.port),
		"--endpoint-reconciler-type=none",
		"--authorization-mode=Node,RBAC",
		"--anonymous-auth=false",
		"--allow-privileged=true",
		"--profiling=false",
		"--service-cluster-ip-range=10.43.0.0/16",
		"--tls-cert-file=" + opts.pair(servingCertificate).CertificateFile(),
		"--tls-private-key-file=" + opts.pair(servingCertificate).KeyFile(),
		"--client-ca-file=" + opts.pair(clientCA).CertificateFile(),
		"--service-account-issuer=" + serviceAccountIssuer,
		"--service-account-key-file=" + opts.path(serviceAccountKey),
		"--service-account-signing-key-file=" + opts.path(serviceAccountKey),
	}
}

func controllerFlags(opts options) []string {
	return []string{
		"--kubeconfig=" + opts.path(controllerKubeconfig),
		"--controllers=" + strings.Join(controllers, ","),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + opts.path(serviceAccountKey),
		"--root-ca-file=" + opts.pair(serverCA).CertificateFile(),
		"--leader-elect=false",
		"--secure-port=0",
	}
}
