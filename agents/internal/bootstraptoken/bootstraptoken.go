// Package bootstraptoken reads bootstrap tokens, with which machines join a cluster, and the Secrets that hold them.
//
// A token is "abcdef.0123456789abcdef": its id, and its secret. Its Secret is kube-system/bootstrap-token-<id> of the type
// bootstrap.kubernetes.io/token, with the data token-id, token-secret, expiration (RFC 3339), usage-bootstrap-authentication,
// usage-bootstrap-signing and auth-extra-groups:
// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
package bootstraptoken

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// Namespace is where the Secrets are.
	Namespace = "kube-system"
	// UserPrefix is followed by the token's id in the name of its user.
	UserPrefix = "system:bootstrap:"
	// Group has every user of a token; groups that a token adds begin with it and a colon.
	Group = "system:bootstrappers"

	namePrefix = "bootstrap-token-"
)

// Token is a token in its parts.
type Token struct{ ID, Secret string }

// Parse reads a token; ok is false for a text that is none.
func Parse(text string) (t Token, ok bool) {
	const id, length = 6, 6 + 1 + 16
	if len(text) != length || text[id] != '.' || !isPlain(text[:id]) || !isPlain(text[id+1:]) {
		return Token{}, false
	}
	return Token{text[:id], text[id+1:]}, true
}

// isPlain returns whether s has only the characters a to z and 0 to 9.
func isPlain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) < 0
}

// SecretName is the name of the Secret of a token's id.
func SecretName(id string) string { return namePrefix + id }

// Is returns whether a Secret is one of a token, by its namespace and type.
func Is(s *corev1.Secret) bool {
	return s.Namespace == Namespace && s.Type == corev1.SecretTypeBootstrapToken
}

// Expiration is how long the token of a Secret is still valid; 0: it does not expire. One whose time cannot be read has expired.
func Expiration(s *corev1.Secret, now time.Time) (left time.Duration, expired bool) {
	text := value(s, "expiration")
	if text == "" {
		return 0, false
	}
	end, err := time.Parse(time.RFC3339, text)
	if err != nil || !end.After(now) {
		return 0, true
	}
	return end.Sub(now), false
}

// Groups returns the groups of a token's user, where s is the Secret of the token's name; an error says why the token is not valid. The secret
// parts are compared in constant time.
func Groups(s *corev1.Secret, t Token, now time.Time) ([]string, error) {
	if s.DeletionTimestamp != nil {
		return nil, errors.New("it is deleted and awaiting removal")
	}
	if s.Type != corev1.SecretTypeBootstrapToken {
		return nil, fmt.Errorf("it has an invalid type, expected %s", corev1.SecretTypeBootstrapToken)
	}
	if subtle.ConstantTimeCompare(s.Data["token-secret"], []byte(t.Secret)) != 1 {
		return nil, errors.New("it has an invalid value for key token-secret")
	}
	if value(s, "token-id") != t.ID {
		return nil, errors.New("it has an invalid value for key token-id")
	}
	if _, expired := Expiration(s, now); expired {
		return nil, errors.New("it has expired")
	}
	if value(s, "usage-bootstrap-authentication") != "true" {
		return nil, errors.New("it is not marked usage-bootstrap-authentication=true")
	}
	return groups(value(s, "auth-extra-groups"))
}

// groups are Group and the ones of a comma separated list, in order.
func groups(extra string) ([]string, error) {
	all := []string{Group}
	if extra == "" {
		return all, nil
	}
	for g := range strings.SplitSeq(extra, ",") {
		if !extraGroup.MatchString(g) {
			return nil, fmt.Errorf("bootstrap group %q is invalid (must match %s)", g, extraGroup)
		}
		all = append(all, g)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

var extraGroup = regexp.MustCompile(`\A` + Group + `:[a-z0-9:-]{0,255}[a-z0-9]\z`)

// ForSigning returns the token of a Secret that is to sign the cluster's information; ok is false where that is not its use, where it has
// expired, or where the Secret has not the name of its id.
func ForSigning(s *corev1.Secret, now time.Time) (t Token, ok bool) {
	t = Token{value(s, "token-id"), value(s, "token-secret")}
	_, expired := Expiration(s, now)
	return t, Is(s) && len(t.ID) == 6 && isPlain(t.ID) && s.Name == SecretName(t.ID) && t.Secret != "" && !expired && value(s, "usage-bootstrap-signing") == "true"
}

func value(s *corev1.Secret, key string) string { return string(s.Data[key]) }
