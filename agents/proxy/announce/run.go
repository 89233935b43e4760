package announce

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

const (
	// gap bounds how often the owned addresses are computed; the first change goes at once.
	gap = 100 * time.Millisecond
	// recheck is how often the link is compared without a change: another program may have changed it.
	recheck = 10 * time.Second
	// repeats is how often a new address is announced, every repeatInterval: frames get lost, and a former owner may still answer.
	repeats        = 5
	repeatInterval = time.Second
)

// Run keeps the addresses of duties on this node whose nodes ahead are dead, until ctx is done, and returns nil then. They stay. changed gets
// a message when duties may return others.
func Run(ctx context.Context, duties func() []Duty, changed <-chan struct{}, log *slog.Logger) error {
	a := announcer{log: log, left: map[netip.Addr]int{}, probes: newProbes(log), found: addresses()}
	defer a.probes.close()
	probe := time.NewTicker(probeInterval)
	defer probe.Stop()
	check := time.NewTicker(recheck)
	defer check.Stop()
	repeat := time.NewTicker(repeatInterval)
	defer repeat.Stop()
	for ctx.Err() == nil {
		a.set(duties())
		pause := time.After(gap)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
				waiting = false
			case <-check.C:
				waiting = false
			case <-repeat.C:
				a.announce()
			case <-probe.C:
				waiting = !a.probes.tick()
			}
		}
		select {
		case <-ctx.Done():
		case <-pause:
		}
	}
	return nil
}

type announcer struct {
	log *slog.Logger
	// left is how many times each address is still to be announced.
	left map[netip.Addr]int
	// owned are the addresses of the last set, and fault is its error.
	owned  []netip.Addr
	fault  string
	probes *probes
	// found are the addresses that this node had when Run began.
	found []netip.Addr
}

// set puts the addresses that are this node's now on the link and announces the new ones.
func (a *announcer) set(duties []Duty) {
	var owned []netip.Addr
	var peers []Peer
	for _, d := range duties {
		peers = append(peers, d.Ahead...)
	}
	a.probes.setPeers(peers)
	for _, d := range duties {
		if !slices.ContainsFunc(d.Ahead, func(p Peer) bool { return !a.probes.isDead(p, slices.Contains(a.found, d.Address)) }) {
			owned = append(owned, d.Address)
		}
	}
	added, err := set(owned)
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	if fault != "" && fault != a.fault {
		a.log.Warn("load balancer addresses not announced", "agent", "proxy", "after", recheck, "err", err)
	}
	for _, x := range a.owned {
		if !slices.Contains(owned, x) {
			delete(a.left, x)
			a.log.Info("load balancer address released", "agent", "proxy", "address", x)
			a.giveBack(x, duties)
		}
	}
	for _, x := range added {
		a.left[x] = repeats
		a.log.Info("load balancer address announced", "agent", "proxy", "address", x)
	}
	a.owned, a.fault = owned, fault
	if len(added) > 0 {
		a.announce()
	}
}

// giveBack tells the networks that an address which this node had while others were dead is with the first that answers again.
func (a *announcer) giveBack(x netip.Addr, duties []Duty) {
	i := slices.IndexFunc(duties, func(d Duty) bool { return d.Address == x })
	if i < 0 {
		return // the new owner announces it itself
	}
	for _, p := range duties[i].Ahead {
		if a.probes.isDead(p, false) {
			continue
		}
		if err := sendGratuitousFor(p.Address, x); err != nil {
			a.log.Warn("address not announced for its owner", "agent", "proxy", "address", x, "node", p.Name, "err", err)
		}
		return
	}
}

// announce sends what is left to be sent.
func (a *announcer) announce() {
	for x, n := range a.left {
		if a.left[x] = n - 1; n <= 1 {
			delete(a.left, x)
		}
		if err := sendGratuitous(x); err != nil {
			a.log.Warn("announcement not sent", "agent", "proxy", "address", x, "err", err)
		}
	}
}
