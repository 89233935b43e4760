package network

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"gantry/agents/internal/identitylease"
	"gantry/registry"
)

// renewal is the last renewal of a lease that was seen.
type renewal struct {
	renewTime time.Time // as the gateway wrote it: only a change of it counts
	seen      time.Time
}

// noteRenewal notes when a lease was renewed; it returns whether the lease was unknown or had expired.
func (c *kubernetesService) noteRenewal(l *coordinationv1.Lease, now time.Time) (appeared bool) {
	if _, ok := identitylease.Address(l); !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r, known := c.renewed[l.Name]
	if known && r.renewTime.Equal(l.Spec.RenewTime.Time) {
		return false
	}
	c.renewed[l.Name] = renewal{l.Spec.RenewTime.Time, now}
	return !known || now.Sub(r.seen) > identitylease.Duration
}

// leases returns the addresses of the gateways that renew their leases, in order, and the leases of others. after is when the next lease
// may have expired. Only a consistent read counts as evidence that a lease was not renewed.
func (c *kubernetesService) leases(ctx context.Context) (gateways []netip.AddrPort, expired []*coordinationv1.Lease, after time.Duration, err error) {
	all := registry.For[*coordinationv1.Lease](c.Registry)
	found, err := all.CachedList(ctx, identitylease.Namespace, identitylease.Selector)
	if err != nil {
		return nil, nil, 0, err
	}
	names := map[string]bool{}
	for _, l := range found {
		address, ok := identitylease.Address(l)
		if !ok {
			continue
		}
		names[l.Name] = true
		remaining := c.remaining(l)
		if remaining <= 0 {
			if l, err = all.Get(ctx, l.Namespace, l.Name); err != nil {
				if errors.Is(err, registry.NotFound) {
					continue
				}
				c.interruptions.Note(time.Now())
				return nil, nil, 0, err
			}
			remaining = c.remaining(l)
		}
		if remaining <= 0 {
			expired = append(expired, l)
			continue
		}
		gateways = append(gateways, address)
		if after == 0 || remaining < after {
			after = remaining
		}
	}
	c.forgetOthers(names)
	slices.SortFunc(gateways, netip.AddrPort.Compare)
	return gateways, expired, after, nil
}

// remaining is how long a lease is still valid; not above 0: it has expired.
func (c *kubernetesService) remaining(l *coordinationv1.Lease) time.Duration {
	c.noteRenewal(l, time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	return identitylease.Duration - c.interruptions.Age(c.renewed[l.Name].seen)
}

// forgetOthers forgets the renewals of leases that do not exist any more.
func (c *kubernetesService) forgetOthers(names map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.renewed {
		if !names[name] {
			delete(c.renewed, name)
		}
	}
}
