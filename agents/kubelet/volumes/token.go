package volumes

import (
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
)

// issued is a token in use, and when to ask for the next.
type issued struct {
	token string
	renew time.Time
}

// A token is renewed at 80% of its life, and after a day at most.
const (
	renewPercent = 80
	renewAfter   = 24 * time.Hour
	defaultLife  = int64(3600) // seconds
)

// token adds the file of a service account token. It is kept in memory too, so that a refresh asks for a new one
// only when the old one is near its end.
func (c *collector) token(s *corev1.ServiceAccountTokenProjection) error {
	key := fmt.Sprintf("%q/%q/%q", c.volume, s.Audience, s.Path)
	have, ok := c.state.tokens[key]
	if !ok || !c.cfg.Now().Before(have.renew) {
		fresh, err := c.askToken(s)
		if err != nil {
			return fmt.Errorf("failed to fetch token: %w", err)
		}
		have = fresh
		c.state.tokens[key] = fresh
	}
	mode := int32(0o600) // a pod that runs as somebody else owns it by fsGroup or reads it by its own id
	if readers := c.pod.Spec.SecurityContext; readers == nil || readers.FSGroup == nil {
		mode = int32(c.mode)
	} else {
		mode |= 0o040
	}
	return c.add(s.Path, []byte(have.token), &mode)
}

func (c *collector) askToken(s *corev1.ServiceAccountTokenProjection) (issued, error) {
	life := defaultLife
	if s.ExpirationSeconds != nil {
		life = *s.ExpirationSeconds
	}
	req := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &life,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: c.pod.Name, UID: c.pod.UID},
	}}
	if s.Audience != "" {
		req.Spec.Audiences = []string{s.Audience}
	}
	got, err := c.cfg.Token(c.ctx, c.pod.Namespace, c.pod.Spec.ServiceAccountName, req)
	if err != nil {
		return issued{}, err
	}
	now := c.cfg.Now()
	left := got.Status.ExpirationTimestamp.Sub(now)
	return issued{got.Status.Token, now.Add(min(left*renewPercent/100, renewAfter))}, nil
}
