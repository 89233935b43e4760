package pki

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"
)

// CanSign returns whether the authority's key is here. KeyFile is where it is looked for.
func (a *Authority) CanSign() bool { return a.key != nil }

// KeyFile is the path of the authority's key.
func (a *Authority) KeyFile() string { return cmp.Or(a.keyFile, a.path("ca.key")) }

// NotAfter is when the authority's certificate expires.
func (a *Authority) NotAfter() time.Time { return a.cert.NotAfter }

// Sign makes a certificate of a template and the public key in it, in PEM, with a fresh serial number. Its error says so where ca.key is
// absent.
func (a *Authority) Sign(template *x509.Certificate) ([]byte, error) {
	if a.key == nil {
		return nil, fmt.Errorf("signing a certificate needs %s, which is absent", a.KeyFile())
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, template.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate of %q: %w", template.Subject.CommonName, err)
	}
	return encodeCert(der), nil
}
