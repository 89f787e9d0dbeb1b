package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"edge-fleet.invalid/lab/hub-apiserver/controlplane"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
)

// Where K3s keeps what. https://docs.k3s.io/installation/configuration
const (
	configFolder   = "/etc/rancher/k3s"
	kubeconfigPath = configFolder + "/k3s.yaml"
	dataFolder     = "/var/lib/rancher/k3s"
	serverFolder   = dataFolder + "/server"
	tlsFolder      = serverFolder + "/tls"
	credFolder     = serverFolder + "/cred"
	manifests      = serverFolder + "/manifests"

	adminKubeconfig      = credFolder + "/admin.kubeconfig"
	controllerKubeconfig = credFolder + "/controller.kubeconfig"
	nodeKubeconfig       = dataFolder + "/agent/kubelet.kubeconfig"
	encryptionConfig     = credFolder + "/encryption-config.json"
	serviceKey           = tlsFolder + "/service.key"
)

// Pairs of certificate and key.
const (
	serverCA      controlplane.Pair = tlsFolder + "/server-ca"
	clientCA      controlplane.Pair = tlsFolder + "/client-ca"
	requestCA     controlplane.Pair = tlsFolder + "/request-header-ca"
	servingPair   controlplane.Pair = tlsFolder + "/serving-kube-apiserver"
	authProxyPair controlplane.Pair = tlsFolder + "/client-auth-proxy"
)

const apiPort = 6443

// device is one start of the stand-in.
type device struct {
	config
	// release is what the node says that its kubelet is.
	release string
	name    string
	address net.IP
}

// runServer runs until ctx ends. A release that is never ready answers, but its node does not.
func runServer(ctx context.Context, release string, neverReady bool) error {
	settings, err := readConfig(configFolder)
	if err != nil {
		return err
	}
	d := device{config: settings, release: release, name: settings.one("node-name", ""), address: net.ParseIP(settings.one("node-ip", ""))}
	if d.name == "" {
		return errors.New("the stand-in needs node-name")
	}
	// pkg/util/net.go, GetHostnameAndIPs: without node-ip it is that of the interface of the default route.
	if d.address == nil {
		if d.address, err = utilnet.ChooseHostInterface(); err != nil {
			return err
		}
	}
	if err := d.prepare(); err != nil {
		return err
	}
	apiserver, err := d.apiserverFlags()
	if err != nil {
		return err
	}
	controllers, err := d.controllerFlags()
	if err != nil {
		return err
	}
	return controlplane.Run(ctx, controlplane.Options{
		Database:    serverFolder + "/db/state.db",
		Socket:      serverFolder + "/kine.sock",
		APIServer:   apiserver,
		Controllers: controllers,
		Kubeconfig:  adminKubeconfig,
	}, func(ctx context.Context, admin *kubernetes.Clientset) error {
		if neverReady {
			return nil
		}
		go applyManifests(ctx)
		return d.startNode(ctx, admin)
	})
}

// prepare makes everything that is on the disk before the API server starts.
func (d device) prepare() error {
	for _, folder := range []string{tlsFolder, credFolder, manifests, serverFolder + "/db", dataFolder + "/agent/etc/containerd"} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	if err := d.writeCredentials(); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	if d.encrypts() {
		if err := writeEncryptionConfig(d.one("secrets-encryption-provider", "aescbc")); err != nil {
			return err
		}
	}
	if err := d.writePackaged(); err != nil {
		return err
	}
	return writeContainerdConfig()
}

func (d device) encrypts() bool { return d.one("secrets-encryption", "false") == "true" }

// apiserverFlags are those that K3s gives, replaced by those that the device is given.
// https://github.com/k3s-io/k3s/blob/master/pkg/daemons/control/server.go
func (d device) apiserverFlags() ([]string, error) {
	issuer := "https://kubernetes.default.svc.cluster.local"
	defaults := map[string]string{
		"cert-dir":                           tlsFolder + "/temporary-certs",
		"allow-privileged":                   "true",
		"enable-bootstrap-token-auth":        "true",
		"authorization-mode":                 "Node,RBAC",
		"service-account-signing-key-file":   serviceKey,
		"service-account-key-file":           serviceKey,
		"service-account-issuer":             issuer,
		"api-audiences":                      issuer + ",k3s",
		"service-cluster-ip-range":           d.one("service-cidr", "10.43.0.0/16"),
		"advertise-address":                  d.address.String(),
		"bind-address":                       "0.0.0.0",
		"secure-port":                        strconv.Itoa(apiPort),
		"tls-cert-file":                      servingPair.CertificateFile(),
		"tls-private-key-file":               servingPair.KeyFile(),
		"client-ca-file":                     clientCA.CertificateFile(),
		"requestheader-client-ca-file":       requestCA.CertificateFile(),
		"requestheader-allowed-names":        authProxyName,
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"proxy-client-cert-file":             authProxyPair.CertificateFile(),
		"proxy-client-key-file":              authProxyPair.KeyFile(),
		"enable-admission-plugins":           "NodeRestriction",
		"anonymous-auth":                     "false",
		"profiling":                          "false",
	}
	if d.encrypts() {
		defaults["encryption-provider-config"] = encryptionConfig
		defaults["encryption-provider-config-automatic-reload"] = "true"
	}
	return d.with(defaults, "kube-apiserver-arg")
}

func (d device) controllerFlags() ([]string, error) {
	defaults := map[string]string{
		"kubeconfig":                       controllerKubeconfig,
		"service-account-private-key-file": serviceKey,
		"allocate-node-cidrs":              "true",
		"cluster-cidr":                     d.one("cluster-cidr", "10.42.0.0/16"),
		"root-ca-file":                     serverCA.CertificateFile(),
		"profiling":                        "false",
		"secure-port":                      "0",
		"use-service-account-credentials":  "true",
		"leader-elect":                     "false",
		"configure-cloud-routes":           "false",
		"controllers":                      "*,tokencleaner,-service,-route,-cloud-node-lifecycle",
		"cluster-signing-kube-apiserver-client-cert-file": clientCA.CertificateFile(),
		"cluster-signing-kube-apiserver-client-key-file":  clientCA.KeyFile(),
		"cluster-signing-kubelet-client-cert-file":        clientCA.CertificateFile(),
		"cluster-signing-kubelet-client-key-file":         clientCA.KeyFile(),
		"cluster-signing-kubelet-serving-cert-file":       serverCA.CertificateFile(),
		"cluster-signing-kubelet-serving-key-file":        serverCA.KeyFile(),
		"cluster-signing-legacy-unknown-cert-file":        clientCA.CertificateFile(),
		"cluster-signing-legacy-unknown-key-file":         clientCA.KeyFile(),
	}
	return d.with(defaults, "kube-controller-manager-arg")
}

// writeContainerdConfig names one runtime for each shim on the PATH, as K3s does.
func writeContainerdConfig() error {
	if hasAgent() {
		return writeAgentContainerd()
	}
	shims, err := filepath.Glob("/usr/local/bin/containerd-shim-*-v*")
	if err != nil {
		return err
	}
	text := ""
	for _, shim := range shims {
		if name := shimName.FindStringSubmatch(shim); name != nil {
			text += fmt.Sprintf("[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'%s']\n", name[1])
		}
	}
	return os.WriteFile(dataFolder+"/agent/etc/containerd/config.toml", []byte(text), 0o600)
}
