package controlplane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Pair is the path of a certificate and its key without their endings.
type Pair string

// CertificateFile is the path of the certificate.
func (p Pair) CertificateFile() string { return string(p) + ".crt" }

// KeyFile is the path of the key.
func (p Pair) KeyFile() string { return string(p) + ".key" }

const leafLifetime = 365 * 24 * time.Hour

// Authority is a CA that can sign.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

// PEM is the authority's certificate.
func (ca Authority) PEM() []byte { return encode(ca.Certificate.Raw) }

// LoadOrCreateAuthority reuses the CA of an earlier start, so that kubeconfigs and tokens stay valid.
func LoadOrCreateAuthority(pair Pair, commonName string) (Authority, error) {
	signer, err := LoadOrCreateKey(pair.KeyFile())
	if err != nil {
		return Authority{}, err
	}
	if existing, err := cert.CertsFromFile(pair.CertificateFile()); err == nil {
		return Authority{existing[0], signer}, nil
	} else if !os.IsNotExist(err) {
		return Authority{}, err
	}
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: commonName}, signer)
	if err != nil {
		return Authority{}, err
	}
	return Authority{certificate, signer}, cert.WriteCert(pair.CertificateFile(), encode(certificate.Raw))
}

// LoadOrCreateKey reuses the key of an earlier start.
func LoadOrCreateKey(path string) (crypto.Signer, error) {
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

// WriteCertificate issues a certificate anew and writes it with its key.
func (ca Authority) WriteCertificate(pair Pair, template x509.Certificate) error {
	certificate, key, err := ca.issue(template)
	if err != nil {
		return err
	}
	if err := cert.WriteCert(pair.CertificateFile(), certificate); err != nil {
		return err
	}
	return keyutil.WriteKey(pair.KeyFile(), key)
}

// Kubeconfig is what a kubeconfig is made from.
type Kubeconfig struct {
	// Cluster names cluster and context.
	Cluster string
	// Server is the URL of the API.
	Server string
	// ServerCA signs what the API shows, ClientCA what the user shows.
	ServerCA, ClientCA Authority
	// User and Groups are who the API takes the user for.
	User   string
	Groups []string
}

// Write writes a self-contained kubeconfig with mode 0600 (clientcmd's own mode for a new file).
func (k Kubeconfig) Write(path string) error {
	certificate, key, err := k.ClientCA.issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: k.User, Organization: k.Groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[k.Cluster] = &clientcmdapi.Cluster{
		Server:                   k.Server,
		CertificateAuthorityData: k.ServerCA.PEM(),
	}
	config.AuthInfos[k.User] = &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	config.Contexts[k.Cluster] = &clientcmdapi.Context{Cluster: k.Cluster, AuthInfo: k.User}
	config.CurrentContext = k.Cluster
	return clientcmd.WriteToFile(*config, path)
}

// issue fills in serial, lifetime and key usage, makes a P-256 key, and returns certificate and key as PEM.
func (ca Authority) issue(template x509.Certificate) (certificate, key []byte, err error) {
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
	der, err := x509.CreateCertificate(rand.Reader, &template, ca.Certificate, private.Public(), ca.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyutil.MarshalPrivateKeyToPEM(private)
	return encode(der), key, err
}

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der})
}
