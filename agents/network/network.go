// Package network keeps a node's pod network: the bridge for the node's podCIDRs, one of each family, routes to the other nodes' podCIDRs,
// masquerading of packets that leave the cluster, and rules by which the host's firewall accepts pods' packets. Run watches the
// nodes, makes a plan from them (plan.go, pure) and repairs what differs. It writes nothing to etcd.
//
// It makes the bridge gantry0, routes of protocol 71 (`ip route show proto 71`), the tables `ip gantry-network` and `ip6 gantry-network`, and rules with the
// comment "gantry: pods" in Docker's chain DOCKER-USER or, where that is missing and the policy of FORWARD is drop, in FORWARD. It
// sets net.ipv4.ip_forward and net.ipv6.conf.all.forwarding to 1, and accept_ra to 2 on links whose default routes come from router
// advertisements, which a host that forwards would ignore otherwise. Clean removes all of this but the sysctls; it stays when Run returns.
// Nothing of a family is made that the cluster does not have.
//
// Everything is checked when a node changes, when another program changes one of the tables, the bridge or a route, and every
// half minute. What is right is not touched, and a fault in one part does not keep the others from being repaired.
//
// Nodes in etcd are not trusted: one whose podCIDR is outside of the cluster's range or overlaps an older node's gets no route.
// The health check "network" fails while a part is missing or a node is left out.
package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/nft"
	"gantry/registry"
	"gantry/registry/safely"
)

const (
	// recheck is the interval at which everything is checked without a notification, and the longest between retries.
	recheck = 30 * time.Second
	// syncGap is the shortest time between two syncs, so that a burst of changes is one sync.
	syncGap = 50 * time.Millisecond
	// firstRetry is the time to the first retry; it doubles with each.
	firstRetry = 200 * time.Millisecond
)

// Run keeps the pod network until ctx is done, and returns nil then. The network stays.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	a := &agent{cfg: cfg, nodes: map[string]*corev1.Node{}, wake: make(chan struct{}, 1), fault: errors.New("the node has no podCIDR yet")}
	cfg.Health.Ready("network", func(context.Context) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.fault
	})
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error {
		err := registry.For[*corev1.Node](cfg.Registry).Follow(ctx, a.node)
		if ctx.Err() != nil {
			return nil
		}
		return err
	})
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "watching tables", a.listenTables) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "watching links", a.listenLinks) })
	g.Go(func() error { return a.loop(ctx) })
	return g.Wait()
}

type agent struct {
	cfg  Config
	wake chan struct{} // has a message when everything is to be checked

	mu       sync.Mutex // guards everything below
	nodes    map[string]*corev1.Node
	fault    error  // of the last sync; nil: the network is complete
	reported string // text of the fault that was logged last
}

func (a *agent) node(old, current *corev1.Node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if current == nil {
		delete(a.nodes, old.Name)
	} else {
		was := a.nodes[current.Name]
		a.nodes[current.Name] = current
		if was != nil && slices.Equal(bridge.PodCIDRs(was), bridge.PodCIDRs(current)) && internalIPs(was) == internalIPs(current) {
			return // a heartbeat
		}
	}
	a.wakeLoop()
}

func (a *agent) wakeLoop() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// listenTables wakes the loop when a table changes that the agent has rules in. The agent's own changes wake it too; the sync that
// follows changes nothing.
func (a *agent) listenTables(ctx context.Context) error {
	watched := func(_ *nft.Family, table string, _ uint32) bool { return table == tableName || table == filterTable }
	for ctx.Err() == nil {
		if err := nft.Monitor(ctx, watched, a.wake); err != nil {
			a.cfg.Log.Warn("nftables monitor restarted", "agent", "network", "err", err)
			a.wakeLoop()
			pause(ctx, firstRetry)
		}
	}
	return nil
}

// listenLinks wakes the loop when the bridge changes, a route of routeProtocol changes or any route is deleted.
func (a *agent) listenLinks(ctx context.Context) error {
	links, routes := make(chan netlink.LinkUpdate, 64), make(chan netlink.RouteUpdate, 64)
	ignore := func(error) {}
	if err := netlink.LinkSubscribeWithOptions(links, ctx.Done(), netlink.LinkSubscribeOptions{ErrorCallback: ignore}); err != nil {
		return fmt.Errorf("listening to links: %w", err)
	}
	if err := netlink.RouteSubscribeWithOptions(routes, ctx.Done(), netlink.RouteSubscribeOptions{ErrorCallback: ignore}); err != nil {
		return fmt.Errorf("listening to routes: %w", err)
	}
	// On an error a subscription ends and its channel is closed; recheck finds what it misses then. Both channels are
	// read until they are closed, so that the library's goroutines end.
	for links != nil || routes != nil {
		select {
		case u, ok := <-links:
			if !ok {
				links = nil
			} else if u.Attrs().Name == bridge.Name {
				a.wakeLoop()
			}
		case u, ok := <-routes:
			if !ok {
				routes = nil
			} else if u.Protocol == routeProtocol || u.Type == rtmDelRoute {
				a.wakeLoop()
			}
		}
	}
	<-ctx.Done()
	return nil
}

func (a *agent) loop(ctx context.Context) error {
	retry := firstRetry
	for {
		wait := recheck
		err := safely.Call(a.sync)
		if err != nil {
			wait = retry
			retry = min(2*retry, recheck)
		} else {
			retry = firstRetry
		}
		a.report(err)
		pause(ctx, syncGap)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-a.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// report stores the result of a sync for the health check and logs it when it differs from the last one.
func (a *agent) report(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = err
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != a.reported && err != nil {
		a.cfg.Log.Warn("pod network incomplete", "agent", "network", "err", err)
	}
	if text != a.reported && err == nil {
		a.cfg.Log.Info("pod network ready", "agent", "network")
	}
	a.reported = text
}

func (a *agent) plan() (plan, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return makePlan(a.nodes, a.cfg.NodeName, a.cfg.ClusterCIDRs)
}

// sync checks every part of the network and repairs what differs. An error in one part does not stop the others.
func (a *agent) sync() error {
	p, err := a.plan()
	if err != nil {
		return err
	}
	errs := []error{bridge.Ensure(p.podCIDRs, a.cfg.MTU)}
	for _, podCIDR := range p.podCIDRs {
		clusterCIDR := nft.FamilyOf(podCIDR.Addr()).First(a.cfg.ClusterCIDRs)
		errs = append(errs, ensureMasquerade(podCIDR, clusterCIDR), ensureForward(clusterCIDR))
	}
	return errors.Join(append(append(errs, ensureRoutes(p.routes)), p.faults...)...)
}

// Clean removes everything that the agent makes, except that forwarding stays on: other programs may need it. What is absent is
// no error.
func Clean() error {
	return errors.Join(nft.RemoveTable(tableName), removeForward(nft.IPv4), removeForward(nft.IPv6), ensureRoutes(nil), bridge.Remove())
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
