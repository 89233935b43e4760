package certificates

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxKeyBits is the largest RSA key of a request: checking a signature takes time as the square of the key's size.
const maxKeyBits = 16384

// ParseRequest reads the PEM block of a PKCS #10 request. It does not check the signature.
func ParseRequest(text []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// ParseSignedRequest is ParseRequest for a request whose signature is that of its own key, which has at most maxKeyBits.
func ParseSignedRequest(text []byte) (*x509.CertificateRequest, error) {
	r, err := ParseRequest(text)
	if err != nil {
		return nil, err
	}
	if key, ok := r.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxKeyBits {
		return nil, fmt.Errorf("RSA key of %d bits is larger than %d bits", key.N.BitLen(), maxKeyBits)
	}
	return r, r.CheckSignature()
}

// checkCertificates returns what is wrong with PEM blocks of certificates; none at all is right.
func checkCertificates(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	blocks := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type)
		}
		if len(block.Headers) != 0 {
			return errors.New("no PEM block headers are permitted")
		}
		blocks++
		certificates, err := x509.ParseCertificates(block.Bytes)
		if err != nil {
			return err
		}
		if len(certificates) == 0 {
			return errors.New("found CERTIFICATE PEM block containing 0 certificates")
		}
	}
	if blocks == 0 {
		return errors.New("must contain at least one CERTIFICATE PEM block")
	}
	return nil
}
