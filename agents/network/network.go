// Package network keeps a node's pod network: the bridge for the node's podCIDR, the routes to the other nodes' podCIDRs, the
// masquerading of what leaves the cluster, and the host firewall's leave for pods' packets.
//
// What it makes and nothing else: the bridge gantry0, routes of protocol 71 (`ip route show proto 71`), the table
// `ip gantry-network`, and rules with the comment "gantry: pods" in Docker's chain DOCKER-USER or, where that is missing and
// the policy of FORWARD is drop, in FORWARD. net.ipv4.ip_forward is set to 1. Clean removes all but the last.
//
// Everything is looked at again when a node changes, when another program touches one of the tables or a link, and every
// half minute; what is right is left alone. All of it stays when the agent ends.
package network

import (
	"context"
	"errors"
	"fmt"
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
	// recheck is how often everything is looked at although nobody told of a change.
	recheck = 30 * time.Second
	// syncGap bounds how often: a burst of changes is one look.
	syncGap = 50 * time.Millisecond
	// firstRetry is the time to the second try.
	firstRetry = 200 * time.Millisecond
)

// Run keeps the pod network until ctx is done. The network stays.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	a := &agent{cfg: cfg, nodes: map[string]*corev1.Node{}, look: make(chan struct{}, 1), fault: errors.New("the node has no podCIDR yet")}
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
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "listening to tables", a.listenTables) })
	g.Go(func() error { return safely.Keep(ctx, cfg.Log, "listening to links", a.listenLinks) })
	g.Go(func() error { return a.loop(ctx) })
	return g.Wait()
}

type agent struct {
	cfg  Config
	look chan struct{} // has one message when everything is to be looked at

	mu    sync.Mutex // guards what follows
	nodes map[string]*corev1.Node
	fault error // what is missing, nil: the network stands
	told  string
}

func (a *agent) node(old, current *corev1.Node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if current == nil {
		delete(a.nodes, old.Name)
	} else {
		was := a.nodes[current.Name]
		a.nodes[current.Name] = current
		if was != nil && was.Spec.PodCIDR == current.Spec.PodCIDR && internalIP(was) == internalIP(current) {
			return // a heartbeat
		}
	}
	a.again()
}

func (a *agent) again() {
	select {
	case a.look <- struct{}{}:
	default:
	}
}

// listenTables looks again when a table changed that rules of ours are in. Our own changes are among them: the look that
// follows changes nothing.
func (a *agent) listenTables(ctx context.Context) error {
	watched := func(table string, _ uint32) bool { return table == tableName || table == filterTable }
	for ctx.Err() == nil {
		if err := nft.Monitor(ctx, watched, a.look); err != nil {
			a.cfg.Log.Warn("nftables monitor restarted", "agent", "network", "err", err)
			a.again()
			pause(ctx, firstRetry)
		}
	}
	return nil
}

// listenLinks looks again when the bridge, an address or a route of ours went.
func (a *agent) listenLinks(ctx context.Context) error {
	links, routes := make(chan netlink.LinkUpdate, 64), make(chan netlink.RouteUpdate, 64)
	ignore := func(error) {}
	if err := netlink.LinkSubscribeWithOptions(links, ctx.Done(), netlink.LinkSubscribeOptions{ErrorCallback: ignore}); err != nil {
		return fmt.Errorf("listening to links: %w", err)
	}
	if err := netlink.RouteSubscribeWithOptions(routes, ctx.Done(), netlink.RouteSubscribeOptions{ErrorCallback: ignore}); err != nil {
		return fmt.Errorf("listening to routes: %w", err)
	}
	// A subscription ends by itself on an error (its channel is closed); what it then misses, recheck finds. Both channels are
	// read to their end, so that no goroutine of the library stays.
	for links != nil || routes != nil {
		select {
		case u, ok := <-links:
			if !ok {
				links = nil
			} else if u.Attrs().Name == bridge.Name {
				a.again()
			}
		case u, ok := <-routes:
			if !ok {
				routes = nil
			} else if u.Protocol == routeProtocol || u.Type == rtmDelRoute {
				a.again()
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
		case <-a.look:
		case <-t.C:
		}
		t.Stop()
	}
}

// report tells of a fault when it is a new one.
func (a *agent) report(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = err
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != a.told && err != nil {
		a.cfg.Log.Warn("pod network incomplete", "agent", "network", "err", err)
	}
	if text != a.told && err == nil {
		a.cfg.Log.Info("pod network stands", "agent", "network")
	}
	a.told = text
}

func (a *agent) plan() (plan, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return makePlan(a.nodes, a.cfg.NodeName, a.cfg.ClusterCIDR)
}

// sync looks at everything and changes what is not right. One part's fault does not keep the others from being looked at.
func (a *agent) sync() error {
	p, err := a.plan()
	if err != nil {
		return err
	}
	return errors.Join(
		bridge.Ensure(p.podCIDR, a.cfg.MTU),
		ensureMasquerade(p.podCIDR, a.cfg.ClusterCIDR),
		ensureForward(a.cfg.ClusterCIDR),
		ensureRoutes(p.routes),
		errors.Join(p.faults...),
	)
}

// Clean removes everything of ours but the kernel's leave to forward, which others may need. What is absent is no fault.
func Clean() error {
	return errors.Join(removeTable(), removeForward(), ensureRoutes(nil), bridge.Remove())
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
