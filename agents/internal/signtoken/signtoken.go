// Package signtoken signs service account tokens: the gateway's, made by TokenRequests, and the controllers', stored in Secrets of
// type kubernetes.io/service-account-token. The key can sign a token of any account.
package signtoken

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Signer signs with one key. Safe for concurrent use.
type Signer struct {
	key    crypto.Signer
	method jwt.SigningMethod
	id     string
}

// New returns a signer with an RSA key or an ECDSA key of 256, 384 or 521 bits.
func New(key crypto.Signer) (*Signer, error) {
	method, err := Method(key.Public())
	if err != nil {
		return nil, err
	}
	id, err := KeyID(key.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{key, method, id}, nil
}

// Sign returns the signed token with the claims c.
func (s *Signer) Sign(c jwt.Claims) (string, error) {
	token := jwt.NewWithClaims(s.method, c)
	token.Header["kid"] = s.id
	delete(token.Header, "typ")
	text, err := token.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return text, nil
}

// Method returns the signing method of tokens that a public key verifies.
func Method(key crypto.PublicKey) (jwt.SigningMethod, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return jwt.SigningMethodRS256, nil
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return jwt.SigningMethodES256, nil
		case 384:
			return jwt.SigningMethodES384, nil
		case 521:
			return jwt.SigningMethodES512, nil
		}
	}
	return nil, fmt.Errorf("choosing how to sign tokens: a key of type %T does not fit, want RSA or ECDSA", key)
}

// KeyID is the "kid" of a key in tokens and in the key set: the hash of the public key.
func KeyID(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("hashing a token key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
