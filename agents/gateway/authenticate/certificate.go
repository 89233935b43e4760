package authenticate

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// peer is one connection's client: its certificate is verified once, not for every request.
type peer struct {
	mu    sync.Mutex // guards what follows
	user  authenticationv1.UserInfo
	err   error
	until time.Time // zero: not verified yet
}

type peerKey struct{}

// WithPeer is http.Server's ConnContext.
func WithPeer(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, &peer{})
}

// peerOf is the connection's peer; a fresh one where the server did not set it.
func peerOf(ctx context.Context) *peer {
	if p, ok := ctx.Value(peerKey{}).(*peer); ok {
		return p
	}
	return &peer{}
}

// peerRecheck is how long a verification counts.
const peerRecheck = time.Minute

// verify returns the user of a chain of certificates: the common name is the user, organizations are groups.
func (p *peer) verify(chain []*x509.Certificate, roots *x509.CertPool) (authenticationv1.UserInfo, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.until) {
		return p.user, p.err
	}
	p.user, p.err = verifyChain(chain, roots, now)
	p.until = now.Add(peerRecheck)
	if end := chain[0].NotAfter; p.err == nil && end.Before(p.until) {
		p.until = end
	}
	return p.user, p.err
}

func verifyChain(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) (authenticationv1.UserInfo, error) {
	leaf := chain[0]
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return authenticationv1.UserInfo{}, fmt.Errorf("verifying the client certificate of %q: %w", leaf.Subject.CommonName, err)
	}
	if leaf.Subject.CommonName == "" {
		return authenticationv1.UserInfo{}, errors.New("verifying the client certificate: it has no common name")
	}
	return authenticationv1.UserInfo{
		Username: leaf.Subject.CommonName, Groups: leaf.Subject.Organization,
		Extra: map[string]authenticationv1.ExtraValue{
			"authentication.kubernetes.io/credential-id": {fmt.Sprintf("X509SHA256=%x", fingerprint(leaf))},
		},
	}, nil
}

func fingerprint(c *x509.Certificate) []byte {
	sum := sha256.Sum256(c.Raw)
	return sum[:]
}
