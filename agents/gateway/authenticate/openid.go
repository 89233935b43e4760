package authenticate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/agents/internal/signtoken"
)

// OpenIDConfiguration answers where the keys are that verify tokens.
func (n *Authenticator) OpenIDConfiguration(w http.ResponseWriter, r *request.Request) error {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	return encode.Object(w, r, http.StatusOK, map[string]any{
		"issuer":                                n.Tokens.issuer,
		"jwks_uri":                              "https://" + n.Advertised().String() + "/openid/v1/jwks",
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": n.Tokens.algorithms(),
	})
}

// JWKS answers with the public keys that verify tokens.
func (n *Authenticator) JWKS(w http.ResponseWriter, r *request.Request) error {
	keys := []map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(n.Tokens.keys)) {
		keys = append(keys, webKey(id, n.Tokens.keys[id]))
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	return encode.Document(w, r, "application/jwk-set+json", map[string]any{"keys": keys})
}

func (t *tokens) algorithms() []string {
	var out []string
	for _, key := range t.keys {
		if m, err := signtoken.Method(key); err == nil {
			out = append(out, m.Alg())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// webKey is a key as RFC 7517 writes it. Keys of other types never get into tokens.keys with a method.
func webKey(id string, key crypto.PublicKey) map[string]string {
	out := map[string]string{"use": "sig", "kid": id}
	if m, err := signtoken.Method(key); err == nil {
		out["alg"] = m.Alg()
	}
	enc := base64.RawURLEncoding.EncodeToString
	switch k := key.(type) {
	case *rsa.PublicKey:
		out["kty"], out["n"], out["e"] = "RSA", enc(k.N.Bytes()), enc(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 0x04, then x and y of equal length
		if err != nil {
			break
		}
		half := (len(point) - 1) / 2
		out["kty"], out["crv"] = "EC", strings.Replace(k.Curve.Params().Name, " ", "", 1)
		out["x"], out["y"] = enc(point[1:1+half]), enc(point[1+half:])
	}
	return out
}
