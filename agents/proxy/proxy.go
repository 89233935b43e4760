// Package proxy makes service addresses and pods' host ports work on a node: it watches services, endpoint slices, nodes
// and this node's own pods, compiles them (pure: frontend.go, backend.go, hostport.go, claim.go) to elements of one nftables table, and changes the elements that
// differ.
//
// `nft list table ip gantry` is the whole of it. The maps
//
//	services   address . protocol . port            : goto a chain
//	slots      address . protocol . port . number   : endpoint
//	unserved   address . protocol . port            : goto refuse or ignore
//	sticky     address . protocol . port            : number by which affinity remembers clients
//	affinity   client . number                      : slot
//
// say what happens to a packet; the chains are few and constant, one for each number of endpoints: pick-3
// takes a random one of three slots, sticky-3-10800 remembers a client's slot for 10800 seconds, the same for a service's cluster IP and
// node port, local-1-3 gives
// clients outside of the cluster the first one only (externalTrafficPolicy: Local). Sets beside them tell which
// keys need the client's address replaced (masquerades), which pods may meet themselves (hairpins), and which addresses are
// cluster IPs, so that a port nobody has is refused.
//
// A restart reads the table back and changes what differs. The table stays when the agent ends; Clean removes
// it. Another program's changes to it are noticed and undone. No other table is ever read.
//
// Values are hostile: endpoints and addresses that cannot be are left out, and where two services claim one
// address the older has it.
//
// A host port is a key on this node's addresses with one endpoint, the pod, which sees its clients' own addresses. It answers from
// this host, from pods and from outside; hostIP restricts it to one of this host's addresses, a loopback one to this
// host's own clients (loopback.go). Where a service has the key, the service wins.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"gantry/agents/internal/daemon"
	"gantry/agents/internal/nft"

	"gantry/registry/safely"
)

const (
	// syncGap bounds how often the kernel is programmed; the first change goes at once.
	syncGap = 30 * time.Millisecond
	// recheck is how often the table is read although nobody told of a change.
	recheck = 5 * time.Minute
	// firstRetry and lastRetry bound the time between two tries.
	firstRetry, lastRetry = 100 * time.Millisecond, 30 * time.Second
)

// Run keeps the node's service addresses until ctx is done. The table stays.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	a := &agent{cfg: cfg, tracker: newChangeTracker(), kernel: newKernelTable(cfg.ClusterCIDR), foreignChange: make(chan struct{}, 1)}
	a.health = &healthz{tracker: a.tracker, node: cfg.NodeName}
	cfg.Health.Ready("proxy", func(context.Context) error {
		if !a.health.healthy(time.Now()) {
			return errors.New("services are not programmed")
		}
		return nil
	})
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return unlessDone(ctx, a.tracker.follow(ctx, cfg)) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "listening to tables", a.listen) })
	g.Go(func() error { return a.serveHealth(ctx) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "programming services", a.loop) })
	return g.Wait()
}

// quiet makes the end of ctx no error.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type agent struct {
	cfg           Config
	tracker       *changeTracker
	kernel        *kernelTable
	health        *healthz
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

// listen keeps the monitor running.
func (a *agent) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := nft.Monitor(ctx, a.kernel.isForeign, a.foreignChange); err != nil {
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
	defer a.kernel.close()
	if err := a.tracker.waitForSync(ctx, a.cfg); err != nil {
		return nil
	}
	p := newSyncer(a.kernel, a.cfg.Log)
	a.tracker.update(p.compiled, a.cfg)
	retry := firstRetry
	for {
		took, n, err := a.sync(p)
		wait := recheck
		switch {
		case err != nil:
			a.cfg.Log.Warn("services not programmed", "agent", "proxy", "after", retry, "err", err)
			p.needFullSync, wait = true, retry
			retry = min(2*retry, lastRetry)
		case n > 0:
			a.cfg.Log.Info("services programmed", "agent", "proxy", "owners", len(p.compiled), "elements", n, "took", took)
			fallthrough
		default:
			retry = firstRetry
		}
		if !a.next(ctx, p, wait) {
			return nil
		}
	}
}

func (a *agent) sync(p *syncer) (took time.Duration, n int, err error) {
	began := time.Now()
	n, err = p.sync()
	took = time.Since(began)
	syncDuration.Observe(took.Seconds())
	elementsChanged.Add(float64(n))
	if err != nil {
		syncFailures.Inc()
		return took, n, err
	}
	lastSync.SetToCurrentTime()
	a.health.synced()
	return took, n, nil
}

// next waits for something to do; false: ctx is done.
func (a *agent) next(ctx context.Context, p *syncer, wait time.Duration) bool {
	pause(ctx, syncGap)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-a.tracker.changed:
	case <-a.foreignChange:
		repairs.Inc()
		p.needFullSync = true
	case <-t.C:
		p.needFullSync = true
		a.tracker.markPodsDirty() // this host's addresses may be others
	}
	a.tracker.update(p.compiled, a.cfg)
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
