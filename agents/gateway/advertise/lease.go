// Package advertise tells the cluster of a gateway: it keeps the gateway's identity lease, from which the controllers make the Service
// kubernetes, and publishes the CA of clients where extension servers look for it, and the address and CA of the cluster where machines that join
// it do.
package advertise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/identitylease"
	"gantry/registry"
)

// The pause after a failed try. A new cluster's first pods find the API by the Service kubernetes in their environment: the lease is there
// as soon as its namespace is.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = 250 * time.Millisecond
)

// Config is what is advertised, and how.
type Config struct {
	Registry *registry.Registry
	// Address is where others reach the gateway.
	Address netip.AddrPort
	// ClusterCA is the PEM of the CA of clients; empty: not published.
	ClusterCA []byte
	// FrontProxyCA is the PEM of the CA of the front proxy's certificate; empty: not published.
	FrontProxyCA []byte
	Log          *slog.Logger
}

// Run renews the lease until ctx is done, and then deletes it.
func (c Config) Run(ctx context.Context) error {
	wait := time.NewTimer(0)
	defer wait.Stop()
	failed, pause := false, firstRetry
	for {
		select {
		case <-ctx.Done():
			c.release(context.WithoutCancel(ctx))
			return nil
		case <-wait.C:
		}
		err := c.renew(ctx, time.Now())
		if err == nil {
			err = c.publishCAs(ctx)
		}
		if err == nil {
			err = c.publishClusterInfo(ctx)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil && !failed && !errors.Is(err, registry.NotFound): // its namespace is created by the controllers
			c.Log.Warn("identity lease not renewed", "err", err)
			failed = true
		case err == nil && failed:
			c.Log.Info("identity lease renewed again")
			failed = false
		}
		if err != nil {
			wait.Reset(pause)
			pause = min(2*pause, lastRetry)
			continue
		}
		pause = firstRetry
		wait.Reset(identitylease.RenewInterval)
	}
}

// renew renews the lease, or creates it.
func (c Config) renew(ctx context.Context, now time.Time) error {
	leases, name := registry.For[*coordinationv1.Lease](c.Registry), identitylease.Name(c.Address)
	_, err := leases.Modify(ctx, identitylease.Namespace, name, func(have *coordinationv1.Lease) error {
		identitylease.Fill(have, c.Address, now)
		return nil
	})
	if !errors.Is(err, registry.NotFound) {
		return wrap("renewing the identity lease", err)
	}
	next := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: identitylease.Namespace, Name: name}}
	identitylease.Fill(next, c.Address, now)
	_, err = leases.Create(ctx, next)
	return wrap("creating the identity lease", err)
}

// release deletes the lease: the gateway's address is given to no more clients.
func (c Config) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := registry.For[*coordinationv1.Lease](c.Registry).Delete(ctx, identitylease.Namespace, identitylease.Name(c.Address), registry.DeleteOptions{})
	if err != nil && !errors.Is(err, registry.NotFound) {
		c.Log.Warn("identity lease not deleted", "err", err)
	}
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
