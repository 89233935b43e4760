// Package pki creates and loads the certificates of a cluster in a directory: one authority for the Kubernetes
// API and its clients, another for etcd (CIS 2.7). Keys are ECDSA P-256 in files of mode 0600.
package pki

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	authorityLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime      = 365 * 24 * time.Hour
	// renewBefore is how long before its expiry a certificate is replaced, at start.
	renewBefore = 60 * 24 * time.Hour
	// clockSkew is how far in the past a new certificate begins, for machines whose clocks are behind.
	clockSkew = 5 * time.Minute
)

// Authority is a certificate authority in a directory: ca.crt and ca.key. Without ca.key it verifies and
// loads certificates but cannot create any.
type Authority struct {
	dir               string
	certFile, keyFile string // those of an authority in files; "": in dir
	cert              *x509.Certificate
	key               crypto.Signer // nil: ca.key is absent
	// PEM is ca.crt.
	PEM []byte
}

// Pair is a certificate with its key, and the files they are in.
type Pair struct {
	CertFile, KeyFile string
	tls.Certificate
}

// Request says what a certificate is for.
type Request struct {
	CommonName    string
	Organizations []string
	DNSNames      []string
	IPs           []net.IP
	Server        bool // may serve; every certificate may be a client's
}

// OpenAuthority loads the authority of dir. Where there is none and create is set, it creates one.
func OpenAuthority(dir, commonName string, create bool) (*Authority, error) {
	a := &Authority{dir: dir}
	text, err := os.ReadFile(a.CertFile())
	if errors.Is(err, fs.ErrNotExist) && create {
		return a, a.create(commonName)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	if a.cert, err = parseCert(text); err != nil {
		return nil, fmt.Errorf("reading %s: %w", a.CertFile(), err)
	}
	a.PEM = text
	if a.key, err = readKey(a.KeyFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return a, nil
}

// OpenAuthorityFiles loads an authority of a certificate and a key, which must be its. It signs; it has no directory for pairs.
func OpenAuthorityFiles(certFile, keyFile string) (*Authority, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("reading %s: the key cannot sign", keyFile)
	}
	return &Authority{certFile: certFile, keyFile: keyFile, cert: pair.Leaf, key: key, PEM: encodeCert(pair.Certificate[0])}, nil
}

// CertFile is the path of the authority's certificate.
func (a *Authority) CertFile() string { return cmp.Or(a.certFile, a.path("ca.crt")) }

// Pool is the authority as a pool of roots.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *Authority) create(commonName string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := template(pkix.Name{CommonName: commonName}, authorityLifetime)
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return fmt.Errorf("creating the certificate authority %q: %w", commonName, err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	a.key, a.PEM = key, encodeCert(der)
	if err := writeKey(a.KeyFile(), key); err != nil {
		return err
	}
	return writeFile(a.CertFile(), a.PEM, 0o644)
}

// Ensure returns the pair <name>.crt, <name>.key. It creates or replaces it where it is absent, near its expiry, of
// another authority or different from r. Without ca.key it returns the existing pair.
func (a *Authority) Ensure(name string, r Request) (Pair, error) {
	p := Pair{CertFile: a.path(name + ".crt"), KeyFile: a.path(name + ".key")}
	loaded, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	p.Certificate = loaded
	switch {
	case err == nil && (a.key == nil || a.satisfies(loaded.Leaf, r)):
		return p, nil
	case a.key == nil:
		return Pair{}, fmt.Errorf("loading %s, which cannot be created here because %s is absent: %w", p.CertFile, a.KeyFile(), err)
	}
	return a.issue(p, r)
}

// issue makes a pair and writes its files.
func (a *Authority) issue(p Pair, r Request) (Pair, error) {
	cert, key, err := a.Issue(r)
	if err != nil {
		return Pair{}, err
	}
	if err := writeFile(p.KeyFile, key, 0o600); err != nil {
		return Pair{}, err
	}
	if err := writeFile(p.CertFile, cert, 0o644); err != nil {
		return Pair{}, err
	}
	p.Certificate, err = tls.X509KeyPair(cert, key)
	return p, err
}

// Issue makes a certificate with a key of its own, both in PEM, and writes no file. Its error says so where ca.key is absent.
func (a *Authority) Issue(r Request) (certPEM, keyPEM []byte, err error) {
	if a.key == nil {
		return nil, nil, fmt.Errorf("creating a certificate needs %s, which is absent", a.KeyFile())
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := template(pkix.Name{CommonName: r.CommonName, Organization: r.Organizations}, leafLifetime)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if r.Server {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	t.DNSNames, t.IPAddresses = r.DNSNames, r.IPs
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("creating the certificate of %q: %w", r.CommonName, err)
	}
	keyPEM, err = encodeKey(key)
	return encodeCert(der), keyPEM, err
}

// satisfies reports whether c is a valid certificate for r.
func (a *Authority) satisfies(c *x509.Certificate, r Request) bool {
	return c.CheckSignatureFrom(a.cert) == nil && time.Until(c.NotAfter) > renewBefore &&
		c.Subject.CommonName == r.CommonName && slices.Equal(c.Subject.Organization, r.Organizations) &&
		slices.Equal(c.DNSNames, r.DNSNames) &&
		slices.EqualFunc(c.IPAddresses, r.IPs, func(x, y net.IP) bool { return x.Equal(y) })
}

func template(subject pkix.Name, lifetime time.Duration) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(lifetime)}
}

func encodeCert(der []byte) []byte {
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a Buffer does not fail
	return b.Bytes()
}

func parseCert(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block is in it")
	}
	return x509.ParseCertificate(block.Bytes)
}
