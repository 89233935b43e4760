// Package proxy programs service addresses and pods' host ports on a node, as kube-proxy does. Run watches services, endpoint
// slices, nodes and this node's own pods, compiles them (service.go, hostport.go, conflict.go; all pure) to elements of an
// nftables table for each family, and adds and deletes the elements that differ. It writes nothing to etcd.
//
// `nft list table ip gantry` and `nft list table ip6 gantry` show all of it. The maps
//
//	services   address . protocol . port            : goto a chain
//	slots      address . protocol . port . number   : endpoint
//	unserved   address . protocol . port            : goto refuse or ignore
//	sticky     address . protocol . port            : affinity ID
//	affinity   client . affinity ID                 : number of the client's slot
//
// hold what differs from service to service. The rules are constant, with one chain for each number of endpoints: pick-3
// chooses one of three slots at random, sticky-3-10800 remembers a client's slot for 10800 seconds, local-1-3 sends
// clients outside of the cluster to the first slot only (externalTrafficPolicy: Local). The sets masquerades, hairpins and
// cluster-ips hold the keys whose clients' addresses are replaced, the pods that may be sent to themselves, and the addresses
// on which a port without a service is refused.
//
// The tables stay when Run returns; Clean removes them. A restart reads them back and changes what differs. Changes by other
// programs are detected and undone. No other table is read or written.
//
// What is read from etcd is not trusted: invalid endpoints and addresses are left out, and where two services want one address
// the older gets it; what is left out is logged once.
//
// A host port is a key on this node's addresses whose one endpoint is the pod; the pod sees its clients' own addresses. It is
// reachable from this host, from pods and from outside; hostIP restricts it to one of this host's addresses, a loopback hostIP to
// clients on this host (loopback.go). A service takes precedence over a host port.
//
// The set restricted holds the keys of load balancers with loadBalancerSourceRanges, source-ranges which clients may use them; packets of
// others are dropped. A load balancer's address that is no node's own is announced by one node (package announce). Its health check port
// (externalTrafficPolicy: Local; servicehealth.go) answers whether this node has endpoints.
//
// DESIGN.md says why.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"gantry/agents/internal/daemon"
	"gantry/agents/internal/nft"
	"gantry/registry/safely"
)

const (
	// syncGap bounds how often the kernel is programmed; the first change goes at once.
	syncGap = 30 * time.Millisecond
	// recheck is the interval at which the table is read without a notification.
	recheck = 5 * time.Minute
	// firstRetry and lastRetry bound the time between two tries.
	firstRetry, lastRetry = 100 * time.Millisecond, 30 * time.Second
)

// Run programs the node's service addresses and host ports until ctx is done, and returns nil then. The table stays.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	a := &agent{cfg: cfg, tracker: newChangeTracker(), foreignChange: make(chan struct{}, 1)}
	for i, p := range cfg.ClusterCIDRs {
		k := newKernelTable(p)
		k.onDemand = i > 0
		a.kernel = append(a.kernel, k)
	}
	a.health = &healthz{tracker: a.tracker, node: cfg.NodeName}
	a.serviceHealth = newServiceHealth(func() bool { return a.health.healthy(time.Now()) }, cfg.Log)
	cfg.Health.Ready("proxy", func(context.Context) error {
		if !a.health.healthy(time.Now()) {
			return errors.New("services are not programmed")
		}
		return nil
	})
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return unlessDone(ctx, a.tracker.follow(ctx, cfg)) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "watching the table", a.listen) })
	g.Go(func() error { return a.serveHealth(ctx) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "serving health check ports", a.serviceHealth.run) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "announcing load balancers", a.announce) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "programming services", a.loop) })
	return g.Wait()
}

// unlessDone returns err, or nil when ctx is done.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type agent struct {
	cfg           Config
	tracker       *changeTracker
	kernel        []*kernelTable // one for each family
	health        *healthz
	serviceHealth *serviceHealth
	foreignChange chan struct{} // has one message when another program may have changed the table
}

func (a *agent) serveHealth(ctx context.Context) error {
	if a.cfg.HealthzAddress == "" {
		return nil
	}
	l, err := net.Listen("tcp", a.cfg.HealthzAddress)
	if err != nil {
		return fmt.Errorf("serving health: %w", err)
	}
	return daemon.ServeHTTP(ctx, &http.Server{Handler: a.health.handler(), ReadHeaderTimeout: 5 * time.Second}, l)
}

// isForeign returns whether a change concerns one of the proxy's tables and was made by another program.
func (a *agent) isForeign(f *nft.Family, table string, port uint32) bool {
	return slices.ContainsFunc(a.kernel, func(k *kernelTable) bool { return k.isForeign(f, table, port) })
}

// listen runs the monitor of the tables and restarts it after errors.
func (a *agent) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := nft.Monitor(ctx, a.isForeign, a.foreignChange); err != nil {
			a.cfg.Log.Warn("nftables monitor restarted", "agent", "proxy", "err", err)
			select {
			case a.foreignChange <- struct{}{}:
			default:
			}
			pause(ctx, firstRetry)
		}
	}
	return nil
}

func (a *agent) loop(ctx context.Context) error {
	defer func() {
		for _, k := range a.kernel {
			k.close()
		}
	}()
	if err := a.tracker.waitForSync(ctx, a.cfg); err != nil {
		return nil
	}
	s := newSyncer(a.kernel, a.cfg.Log)
	a.tracker.update(s.compiled, a.cfg)
	retry := firstRetry
	for {
		took, n, err := a.sync(s)
		wait := recheck
		switch {
		case err != nil:
			a.cfg.Log.Warn("services not programmed", "agent", "proxy", "after", retry, "err", err)
			s.readTables()
			wait = retry
			retry = min(2*retry, lastRetry)
		case n > 0:
			a.cfg.Log.Info("services programmed", "agent", "proxy", "owners", len(s.compiled), "elements", n, "took", took)
			fallthrough
		default:
			retry = firstRetry
		}
		if !a.next(ctx, s, wait) {
			return nil
		}
	}
}

func (a *agent) sync(s *syncer) (took time.Duration, n int, err error) {
	began := time.Now()
	n, err = s.sync()
	took = time.Since(began)
	syncDuration.Observe(took.Seconds())
	elementsChanged.Add(float64(n))
	if err != nil {
		syncFailures.Inc()
		return took, n, err
	}
	lastSync.SetToCurrentTime()
	a.health.synced()
	a.serviceHealth.setChecks(s.compiled, s.changed)
	s.changed = map[string]bool{}
	return took, n, nil
}

// next waits for the next reason to sync and updates s. It returns false when ctx is done.
func (a *agent) next(ctx context.Context, s *syncer, wait time.Duration) bool {
	pause(ctx, syncGap)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-a.tracker.changed:
	case <-a.foreignChange:
		repairs.Inc()
		s.readTables()
	case <-t.C:
		s.readTables()
		a.tracker.markPodsDirty() // this host's addresses may have changed
	}
	if names := a.tracker.update(s.compiled, a.cfg); s.changed != nil { // nil: no sync has succeeded yet
		maps.Copy(s.changed, names)
	}
	return ctx.Err() == nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
