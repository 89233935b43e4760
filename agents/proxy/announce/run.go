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

// Run keeps the addresses that owned returns on this node until ctx is done, and returns nil then. They stay. changed gets a message when
// owned may return others.
func Run(ctx context.Context, owned func() []netip.Addr, changed <-chan struct{}, log *slog.Logger) error {
	a := announcer{log: log, left: map[netip.Addr]int{}}
	check := time.NewTicker(recheck)
	defer check.Stop()
	repeat := time.NewTicker(repeatInterval)
	defer repeat.Stop()
	for ctx.Err() == nil {
		a.set(owned())
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
	owned []netip.Addr
	fault string
}

// set puts the addresses on the link and announces the new ones.
func (a *announcer) set(owned []netip.Addr) {
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

// announce sends what is left to be sent.
func (a *announcer) announce() {
	for x, n := range a.left {
		if a.left[x] = n - 1; n <= 1 {
			delete(a.left, x)
		}
		if err := sendGratuitous(x); err != nil {
			a.log.Warn("gratuitous ARP not sent", "agent", "proxy", "address", x, "err", err)
		}
	}
}
