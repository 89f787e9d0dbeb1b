package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// pair is the base name of a certificate and its key in the data directory.
type pair string

func (p pair) certificateFile() string { return string(p) + ".crt" }
func (p pair) keyFile() string         { return string(p) + ".key" }

const (
	serverCA           pair = "server-ca"
	clientCA           pair = "client-ca"
	servingCertificate pair = "serving"

	serviceAccountKey    = "service-account.key"
	adminKubeconfig      = "admin.kubeconfig"
	controllerKubeconfig = "controllers.kubeconfig"

	leafLifetime = 365 * 24 * time.Hour
)

// authority is a CA that can sign.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// writeCredentials reuses the CAs and the service account key of an earlier start (so that kubeconfigs and tokens stay
// valid) and issues the leaf certificates anew.
func writeCredentials(opts options) error {
	server, err := loadOrCreateCA(opts, serverCA)
	if err != nil {
		return err
	}
	client, err := loadOrCreateCA(opts, clientCA)
	if err != nil {
		return err
	}
	if _, err := loadOrCreateKey(opts.path(serviceAccountKey)); err != nil {
		return err
	}
	if err := writeServingCertificate(opts, server); err != nil {
		return err
	}
	if err := writeKubeconfig(opts, adminKubeconfig, server, client, "hub-admin", "system:masters"); err != nil {
		return err
	}
	return writeKubeconfig(opts, controllerKubeconfig, server, client, "system:kube-controller-manager")
}

func loadOrCreateCA(opts options, name pair) (authority, error) {
	signer, err := loadOrCreateKey(opts.path(name.keyFile()))
	if err != nil {
		return authority{}, err
	}
	path := opts.path(name.certificateFile())
	if existing, err := cert.CertsFromFile(path); err == nil {
		return authority{existing[0], signer}, nil
	} else if !os.IsNotExist(err) {
		return authority{}, err
	}
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "edge-fleet lab hub " + string(name)}, signer)
	if err != nil {
		return authority{}, err
	}
	return authority{certificate, signer}, cert.WriteCert(path, encode(certificate.Raw))
}

func loadOrCreateKey(path string) (crypto.Signer, error) {
	data, _, err := keyutil.LoadOrGenerateKeyFile(path)
	if err != nil {
		return nil, err
	}
	key, err := keyutil.ParsePrivateKeyPEM(data)
	if err != nil {
		return nil, err
	}
	return key.(crypto.Signer), nil
}

// writeServingCertificate names the address listened on, loopback, and the names a client inside a cluster would use.
func writeServingCertificate(opts options, ca authority) error {
	certificate, key, err := ca.issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: "hub-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{opts.bindAddress, net.IPv4(127, 0, 0, 1), net.IPv4(10, 43, 0, 1)},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
	})
	if err != nil {
		return err
	}
	if err := cert.WriteCert(opts.path(servingCertificate.certificateFile()), certificate); err != nil {
		return err
	}
	return keyutil.WriteKey(opts.path(servingCertificate.keyFile()), key)
}

// writeKubeconfig writes a self-contained kubeconfig with mode 0600 (clientcmd's own mode for a new file).
func writeKubeconfig(opts options, name string, server, client authority, user string, groups ...string) error {
	certificate, key, err := client.issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["hub"] = &clientcmdapi.Cluster{
		Server:                   opts.server(),
		CertificateAuthorityData: encode(server.certificate.Raw),
	}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	config.Contexts["hub"] = &clientcmdapi.Context{Cluster: "hub", AuthInfo: user}
	config.CurrentContext = "hub"
	return clientcmd.WriteToFile(*config, opts.path(name))
}

// issue fills in serial, lifetime and key usage, makes a P-256 key, and returns certificate and key as PEM.
func (ca authority) issue(template x509.Certificate) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-5 * time.Minute)
	template.NotAfter = time.Now().Add(leafLifetime)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, &template, ca.certificate, private.Public(), ca.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyutil.MarshalPrivateKeyToPEM(private)
	return encode(der), key, err
}

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der})
}
