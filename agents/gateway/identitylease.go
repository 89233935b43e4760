package gateway

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

// identityLease keeps this gateway's identity lease, from which the controllers make the Service kubernetes, and the CA of clients where
// extension servers look for it.
type identityLease struct {
	reg     *registry.Registry
	address netip.AddrPort
	ca      []byte
	log     *slog.Logger
}

func newIdentityLease(cfg Config) *identityLease {
	return &identityLease{
		reg: cfg.Registry, address: netip.AddrPortFrom(cfg.AdvertiseAddress, uint16(cfg.SecurePort)), ca: cfg.ClusterCA, log: cfg.Log,
	}
}

// run renews the lease until ctx is done, and then deletes it.
func (l *identityLease) run(ctx context.Context) error {
	wait := time.NewTimer(0)
	defer wait.Stop()
	failed, pause := false, firstRetry
	for {
		select {
		case <-ctx.Done():
			l.release(context.WithoutCancel(ctx))
			return nil
		case <-wait.C:
		}
		err := l.renew(ctx, time.Now())
		if err == nil {
			err = l.publishCA(ctx)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil && !failed && !errors.Is(err, registry.NotFound): // its namespace is created by the controllers
			l.log.Warn("identity lease not renewed", "err", err)
			failed = true
		case err == nil && failed:
			l.log.Info("identity lease renewed again")
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
func (l *identityLease) renew(ctx context.Context, now time.Time) error {
	leases, name := registry.For[*coordinationv1.Lease](l.reg), identitylease.Name(l.address)
	_, err := leases.Modify(ctx, identitylease.Namespace, name, func(have *coordinationv1.Lease) error {
		identitylease.Fill(have, l.address, now)
		return nil
	})
	if !errors.Is(err, registry.NotFound) {
		return wrap("renewing the identity lease", err)
	}
	next := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: identitylease.Namespace, Name: name}}
	identitylease.Fill(next, l.address, now)
	_, err = leases.Create(ctx, next)
	return wrap("creating the identity lease", err)
}

// release deletes the lease: the gateway's address is given to no more clients.
func (l *identityLease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := registry.For[*coordinationv1.Lease](l.reg).Delete(ctx, identitylease.Namespace, identitylease.Name(l.address), registry.DeleteOptions{})
	if err != nil && !errors.Is(err, registry.NotFound) {
		l.log.Warn("identity lease not deleted", "err", err)
	}
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
