package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"

	"edge-fleet.invalid/lab/hub-apiserver/controlplane"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	utilnet "k8s.io/utils/net"
)

// authProxyName is the common name by which the API server knows itself towards extension servers, as in K3s.
const authProxyName = "system:auth-proxy"

var shimName = regexp.MustCompile(`/containerd-shim-(.+)-v[0-9]+$`)

// writeCredentials keeps authorities, keys and the token of an earlier start, and issues the rest anew.
func (d device) writeCredentials() error {
	server, errServer := controlplane.LoadOrCreateAuthority(serverCA, "k3s-server-ca (stand-in)")
	client, errClient := controlplane.LoadOrCreateAuthority(clientCA, "k3s-client-ca (stand-in)")
	request, errRequest := controlplane.LoadOrCreateAuthority(requestCA, "k3s-request-header-ca (stand-in)")
	_, errKey := controlplane.LoadOrCreateKey(serviceKey)
	serving, errServing := d.servingCertificate()
	if err := errors.Join(errServer, errClient, errRequest, errKey, errServing); err != nil {
		return err
	}
	return errors.Join(
		server.WriteCertificate(servingPair, serving),
		request.WriteCertificate(authProxyPair, x509.Certificate{
			Subject:     pkix.Name{CommonName: authProxyName},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}),
		d.writeKubeconfigs(server, client),
		writeToken(server),
	)
}

func (d device) servingCertificate() (x509.Certificate, error) {
	_, network, err := net.ParseCIDR(d.one("service-cidr", "10.43.0.0/16"))
	if err != nil {
		return x509.Certificate{}, err
	}
	service, err := utilnet.GetIndexedIP(network, 1)
	if err != nil {
		return x509.Certificate{}, err
	}
	template := x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), d.address, service},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", d.name},
	}
	for _, name := range d.config["tls-san"] {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template, nil
}

func (d device) writeKubeconfigs(server, client controlplane.Authority) error {
	base := controlplane.Kubeconfig{
		Cluster:  "default",
		Server:   "https://127.0.0.1:" + strconv.Itoa(apiPort),
		ServerCA: server,
		ClientCA: client,
	}
	as := func(user string, groups ...string) controlplane.Kubeconfig {
		config := base
		config.User, config.Groups = user, groups
		return config
	}
	mode, err := strconv.ParseUint(d.one("write-kubeconfig-mode", "0600"), 8, 32)
	if err != nil {
		return fmt.Errorf("write-kubeconfig-mode: %w", err)
	}
	return errors.Join(
		as("system:admin", "system:masters").Write(adminKubeconfig),
		as("system:admin", "system:masters").Write(kubeconfigPath),
		os.Chmod(kubeconfigPath, os.FileMode(mode)),
		as("system:kube-controller-manager").Write(controllerKubeconfig),
		as("system:node:"+d.name, "system:nodes").Write(nodeKubeconfig),
	)
}

// writeToken makes the token of the cluster once, in the full form.
func writeToken(ca controlplane.Authority) error {
	path := serverFolder + "/token"
	if _, err := os.Stat(path); err == nil || !os.IsNotExist(err) {
		return err
	}
	password := make([]byte, 16)
	if _, err := rand.Read(password); err != nil {
		return err
	}
	return os.WriteFile(path, fmt.Appendf(nil, "K10%x::server:%x\n", sha256.Sum256(ca.PEM()), password), 0o600)
}

// writeEncryptionConfig makes the key of the secrets once, for the provider that the device names, and lets what was
// stored in clear be read: https://docs.k3s.io/security/secrets-encryption
func writeEncryptionConfig(provider string) error {
	if _, err := os.Stat(encryptionConfig); err == nil || !os.IsNotExist(err) {
		return err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	key := []apiserverv1.Key{{Name: provider + "key", Secret: base64.StdEncoding.EncodeToString(secret)}}
	var first apiserverv1.ProviderConfiguration
	switch provider {
	case "secretbox":
		first.Secretbox = &apiserverv1.SecretboxConfiguration{Keys: key}
	case "aescbc":
		first.AESCBC = &apiserverv1.AESConfiguration{Keys: key}
	default:
		return fmt.Errorf("unsupported secrets-encryption-provider %s", provider)
	}
	data, err := json.Marshal(apiserverv1.EncryptionConfiguration{
		TypeMeta: metav1.TypeMeta{APIVersion: "apiserver.config.k8s.io/v1", Kind: "EncryptionConfiguration"},
		Resources: []apiserverv1.ResourceConfiguration{{
			Resources: []string{"secrets"},
			Providers: []apiserverv1.ProviderConfiguration{first, {Identity: &apiserverv1.IdentityConfiguration{}}},
		}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(encryptionConfig, data, 0o600)
}
