// Package clientpool keeps a bounded number of HTTP clients, one for each trust that servers outside of Gantry are connected to by.
package clientpool

import (
	"crypto/x509"
	"errors"
	"sync"
)

// maxClients is how many clients a Pool keeps. One more, and it begins anew.
const maxClients = 256

// Pool keeps clients, or their transports, by what they trust. The zero value is ready. It is safe for concurrent use.
type Pool[K comparable, C interface{ CloseIdleConnections() }] struct {
	mu      sync.Mutex // guards clients
	clients map[K]C
}

// Get returns the client of a key. Where there is none, it is what create makes; an error of create is returned and nothing kept.
func (p *Pool[K, C]) Get(key K, create func() (C, error)) (C, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.clients[key]; ok {
		return c, nil
	}
	c, err := create()
	if err != nil {
		return c, err
	}
	if len(p.clients) >= maxClients {
		for _, old := range p.clients {
			old.CloseIdleConnections()
		}
		p.clients = nil
	}
	if p.clients == nil {
		p.clients = map[K]C{}
	}
	p.clients[key] = c
	return c, nil
}

// Roots are the authorities of an object's caBundle, PEM.
func Roots(bundle []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, errors.New("unable to load root certificates: the caBundle holds no certificate")
	}
	return pool, nil
}
