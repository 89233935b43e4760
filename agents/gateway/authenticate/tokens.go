package authenticate

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gantry/agents/gateway/userinfo"
	"gantry/agents/internal/signtoken"
)

// tokens signs and reads service account tokens.
type tokens struct {
	issuer string
	signer *signtoken.Signer           // nil: no tokens
	keys   map[string]crypto.PublicKey // by id
}

// claims are a service account token's.
type claims struct {
	jwt.RegisteredClaims
	Kubernetes boundClaims `json:"kubernetes.io"`
	// legacySecret is the Secret that a token of signtoken.LegacyIssuer is in; "" for every other.
	legacySecret string
}

// boundClaims name what a token is bound to: it is valid while all of it exists.
type boundClaims struct {
	Namespace      string  `json:"namespace,omitempty"`
	Node           *objRef `json:"node,omitempty"`
	Pod            *objRef `json:"pod,omitempty"`
	Secret         *objRef `json:"secret,omitempty"`
	ServiceAccount objRef  `json:"serviceaccount,omitzero"`
	// WarnAfter is when a client should have fetched a new token, in seconds since 1970; unused but kept.
	WarnAfter *jwt.NumericDate `json:"warnafter,omitempty"`
}

type objRef struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

func NewTokens(issuer string, signing crypto.Signer, verifying []crypto.PublicKey) (*tokens, error) {
	t := &tokens{issuer: issuer, keys: map[string]crypto.PublicKey{}}
	public := slices.Clone(verifying)
	if signing != nil {
		var err error
		if t.signer, err = signtoken.New(signing); err != nil {
			return nil, err
		}
		public = append(public, signing.Public())
	}
	for _, key := range public {
		id, err := signtoken.KeyID(key)
		if err != nil {
			return nil, err
		}
		t.keys[id] = key
	}
	return t, nil
}

// sign makes the text of a token.
func (t *tokens) sign(c claims) (string, error) {
	if t.signer == nil {
		return "", errors.New("signing a token: there is no service account key")
	}
	return t.signer.Sign(c)
}

var validMethods = jwt.WithValidMethods([]string{"RS256", "ES256", "ES384", "ES512"})

// maxToken bounds a token.
const maxToken = 16 << 10 // bytes

// read verifies a token's signature, times, issuer and audience (one of audiences).
func (t *tokens) read(text string, audiences []string) (*claims, error) {
	if len(text) > maxToken {
		return nil, errors.New("reading a token: it is too long")
	}
	c := &claims{}
	_, err := jwt.ParseWithClaims(text, c, t.key, validMethods, jwt.WithIssuer(t.issuer), jwt.WithExpirationRequired(), jwt.WithLeeway(time.Second))
	if errors.Is(err, jwt.ErrTokenInvalidIssuer) { // its signature is right
		c, err = t.readLegacy(text)
	}
	if errors.Is(err, jwt.ErrTokenMalformed) || errors.Is(err, jwt.ErrTokenInvalidIssuer) {
		return nil, fmt.Errorf("%w: %w", errForeignToken, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a token: %w", err)
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(c.Audience, a) }) {
		return nil, fmt.Errorf("reading a token: token audiences [%s] is invalid for the target audiences %q", strings.Join(c.Audience, " "), audiences)
	}
	k := c.Kubernetes
	if k.Namespace == "" || k.ServiceAccount.Name == "" || c.Subject != userinfo.ServiceAccountUser(k.Namespace, k.ServiceAccount.Name) {
		return nil, errors.New("reading a token: its subject is no service account")
	}
	return c, nil
}

// errForeignToken is the error of what is no token of this API: of another form, or of another issuer.
var errForeignToken = errors.New("reading a token")

// key finds the key that a token says it was signed with.
func (t *tokens) key(token *jwt.Token) (any, error) {
	if id, ok := token.Header["kid"].(string); ok {
		if key := t.keys[id]; key != nil {
			return key, nil
		}
	}
	return nil, errors.New("it is signed with an unknown key")
}
