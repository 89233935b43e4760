package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokens signs and reads service account tokens.
type tokens struct {
	issuer string
	signer crypto.Signer // nil: no tokens
	method jwt.SigningMethod
	id     string                      // of signer's public half
	keys   map[string]crypto.PublicKey // by id
}

// claims are a service account token's.
type claims struct {
	jwt.RegisteredClaims
	Kubernetes boundClaims `json:"kubernetes.io"`
}

// boundClaims name what a token is bound to: it holds while all of it is there.
type boundClaims struct {
	Namespace      string  `json:"namespace,omitempty"`
	Node           *objRef `json:"node,omitempty"`
	Pod            *objRef `json:"pod,omitempty"`
	Secret         *objRef `json:"secret,omitempty"`
	ServiceAccount objRef  `json:"serviceaccount,omitzero"`
	// WarnAfter is when a client ought to have fetched a new token, in seconds since 1970; unused but kept.
	WarnAfter *jwt.NumericDate `json:"warnafter,omitempty"`
}

type objRef struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

func newTokens(cfg Config) (*tokens, error) {
	t := &tokens{issuer: cfg.Issuer, signer: cfg.ServiceAccountKey, keys: map[string]crypto.PublicKey{}}
	public := slices.Clone(cfg.ServiceAccountKeys)
	if t.signer != nil {
		var err error
		if t.method, err = signingMethod(t.signer.Public()); err != nil {
			return nil, err
		}
		if t.id, err = keyID(t.signer.Public()); err != nil {
			return nil, err
		}
		public = append(public, t.signer.Public())
	}
	for _, key := range public {
		id, err := keyID(key)
		if err != nil {
			return nil, err
		}
		t.keys[id] = key
	}
	return t, nil
}

func signingMethod(key crypto.PublicKey) (jwt.SigningMethod, error) {
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

// keyID is the name of a key in tokens and in the key set: the hash of its public half.
func keyID(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("naming a token key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// sign makes the text of a token.
func (t *tokens) sign(c claims) (string, error) {
	if t.signer == nil {
		return "", errors.New("signing a token: there is no service account key")
	}
	token := jwt.NewWithClaims(t.method, c)
	token.Header["kid"] = t.id
	delete(token.Header, "typ")
	text, err := token.SignedString(t.signer)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return text, nil
}

// maxToken bounds what is looked at.
const maxToken = 16 << 10 // bytes

// read verifies a token's signature, times, issuer and audience (one of audiences).
func (t *tokens) read(text string, audiences []string) (*claims, error) {
	if len(text) > maxToken {
		return nil, errors.New("reading a token: it is too long")
	}
	c := &claims{}
	_, err := jwt.ParseWithClaims(text, c, t.key,
		jwt.WithValidMethods([]string{"RS256", "ES256", "ES384", "ES512"}),
		jwt.WithIssuer(t.issuer), jwt.WithExpirationRequired(), jwt.WithLeeway(time.Second))
	if err != nil {
		return nil, fmt.Errorf("reading a token: %w", err)
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(c.Audience, a) }) {
		return nil, fmt.Errorf("reading a token: token audiences [%s] is invalid for the target audiences %q", strings.Join(c.Audience, " "), audiences)
	}
	k := c.Kubernetes
	if k.Namespace == "" || k.ServiceAccount.Name == "" || c.Subject != serviceAccountUser(k.Namespace, k.ServiceAccount.Name) {
		return nil, errors.New("reading a token: its subject is no service account")
	}
	return c, nil
}

// key finds the key that a token says it was signed with.
func (t *tokens) key(token *jwt.Token) (any, error) {
	if id, ok := token.Header["kid"].(string); ok {
		if key := t.keys[id]; key != nil {
			return key, nil
		}
	}
	return nil, errors.New("it is signed with an unknown key")
}

func serviceAccountUser(namespace, name string) string {
	return prefixServiceAccount + namespace + ":" + name
}

func fingerprint(c *x509.Certificate) []byte {
	sum := sha256.Sum256(c.Raw)
	return sum[:]
}
