// Package dns answers pods' DNS queries on a node. Run watches Services and their slices, keeps the records of the cluster's zone
// (records), binds the cluster DNS address on a dummy link of this node, gantry-dns, and answers UDP and TCP on port 53 there. Other names
// are asked of the host's servers (forward). It writes nothing to etcd.
//
// Until the first state has been read, names of the zone get SERVFAIL. Once it has been, answers go on when etcd is gone, by what was read
// last. The link stays when Run returns; Clean removes it.
//
// Metrics have CoreDNS' names and are served on Config.MetricsAddress.
//
// DESIGN.md says why.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/dns/forward"
	"gantry/agents/dns/records"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema/core"
)

// recheck is the interval at which the link is checked, and the longest between two tries.
const recheck = 10 * time.Second

// firstRetry is the time to the first retry; it doubles with each.
const firstRetry = 200 * time.Millisecond

// settingsName is the name of the config map with forward.Settings, in kube-system.
const settingsName = "kube-dns"

// Run answers until ctx is done, and returns nil then.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	zone, err := records.NewZone(cfg.Domain, cfg.Address)
	if err != nil {
		return fmt.Errorf("--cluster-domain: %w", err)
	}
	a := &agent{cfg: cfg, zone: zone, tracker: newTracker(zone)}
	a.metrics = newMetrics(a)
	a.forward = forward.New(a.isOwn, a.metrics, cfg.Log)
	a.setFault(errors.New("starting"))
	cfg.Health.Ready("dns", func(context.Context) error {
		if !a.tracker.synced.Load() {
			return errors.New("services are not read yet")
		}
		return *a.fault.Load()
	})
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return unlessDone(ctx, a.tracker.follow(ctx, cfg.Registry)) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "compiling records", a.tracker.run) })
	g.Go(func() error { return unlessDone(ctx, a.followSettings(ctx)) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "forwarding", a.forward.Run) })
	g.Go(func() error { return a.serveMetrics(ctx) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "keeping the link", a.keepLink) })
	g.Go(func() error { return a.serveAgain(ctx) })
	return g.Wait()
}

// unlessDone returns err, or nil when ctx is done.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// isOwn tells whether a server's address is this agent's.
func (a *agent) isOwn(server netip.AddrPort) bool {
	return server.Port() == port && server.Addr().Unmap() == a.cfg.Address
}

func (a *agent) setFault(err error) { a.fault.Store(&err) }

// keepLink repairs the link until ctx is done.
func (a *agent) keepLink(ctx context.Context) error {
	reported := ""
	for ctx.Err() == nil {
		err := ensureLink(a.cfg.Address)
		if text := fmt.Sprint(err); err != nil && text != reported {
			a.cfg.Log.Warn("cluster DNS address missing", "agent", "dns", "err", err)
			reported = text
		}
		if err == nil {
			reported = ""
		}
		if err := waitForLink(ctx, recheck); err != nil {
			return err
		}
	}
	return nil
}

// serveAgain serves, and again after an error: another program may hold the port for a time.
func (a *agent) serveAgain(ctx context.Context) error {
	retry, reported := firstRetry, ""
	for ctx.Err() == nil {
		err := safely.Call(func() error { return a.serve(ctx) })
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("the server has ended")
		}
		a.setFault(err)
		if text := err.Error(); text != reported {
			a.cfg.Log.Warn("names not served", "agent", "dns", "after", retry, "err", err)
			reported = text
		}
		pause(ctx, retry)
		retry = min(2*retry, recheck)
	}
	return nil
}

// followSettings reads the config map, as one key: a node's agents may not read others.
func (a *agent) followSettings(ctx context.Context) error {
	return a.cfg.Registry.FollowOne(ctx, core.ConfigMap, "kube-system", settingsName, func(it *registry.Item) {
		var data map[string]string
		if it != nil {
			data = it.Object().(*corev1.ConfigMap).Data
		}
		s, err := forward.ParseSettings(data)
		if err != nil {
			a.cfg.Log.Warn("settings left out", "agent", "dns", "configMap", "kube-system/"+settingsName, "err", err)
		}
		a.forward.Configure(s)
	})
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// address returns where the agent listens.
func (a *agent) address() string {
	return net.JoinHostPort(a.cfg.Address.String(), fmt.Sprint(port))
}
