package proxy

import (
	"cmp"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// syncer programs the kernel's table with the compiled objects.
type syncer struct {
	kernel   *kernelTable
	log      *slog.Logger
	compiled map[string]*compiledObject
	claims   *claims
	// frontends are those of the last sync that succeeded.
	frontends map[key]*frontend
	// refs counts the frontends that need a shared element.
	refs      map[sharedElement]int
	conflicts []conflict
	// needFullSync makes the next sync read the table, because it may differ from frontends: at the start, after an error and after
	// another program's change.
	needFullSync bool
}

func newSyncer(k *kernelTable, log *slog.Logger) *syncer {
	return &syncer{kernel: k, log: log, compiled: map[string]*compiledObject{}, claims: newClaims(), frontends: map[key]*frontend{}, refs: map[sharedElement]int{}, needFullSync: true}
}

// sync makes the table that of compiled, and returns how many elements were changed.
func (s *syncer) sync() (int, error) {
	touched := s.claims.update(s.compiled)
	s.logConflicts(s.claims.conflicts())
	want := s.claims.won
	if s.needFullSync {
		return s.syncAll(want)
	}
	before := map[key]*frontend{}
	for k := range touched {
		if s.frontends[k] == want[k] {
			delete(touched, k)
		} else if f := s.frontends[k]; f != nil {
			before[k] = f
		}
	}
	if len(touched) == 0 {
		return 0, nil
	}
	have, next := elements{}, elements{}
	shared := map[sharedElement]int{}
	for k := range touched {
		s.frontends[k].add(have)
		want[k].add(next)
		for _, e := range s.frontends[k].shared() {
			shared[e]--
		}
		for _, e := range want[k].shared() {
			shared[e]++
		}
	}
	s.updateRefs(shared, have, next)
	n, err := s.kernel.change(have, next)
	if err != nil {
		s.needFullSync = true
		return n, err
	}
	slots := affinityBefore(before, s.frontends)
	now := map[key]*frontend{}
	for k := range touched {
		if f := want[k]; f != nil {
			now[k], s.frontends[k] = f, f
		} else {
			delete(s.frontends, k)
		}
	}
	return n, s.cleanUpRemoved(before, now, slots)
}

// syncAll reads the table and changes what differs.
func (s *syncer) syncAll(want map[key]*frontend) (int, error) {
	es := elements{}
	clear(s.refs)
	for _, f := range want {
		f.add(es)
		for _, e := range f.shared() {
			es[e.element] = e.data
			s.refs[e]++
		}
	}
	have, n, err := s.kernel.ensure(es)
	if err != nil {
		return n, err
	}
	s.frontends, s.needFullSync = maps.Clone(want), false
	before := decodeFrontends(have)
	return n, s.cleanUpRemoved(before, want, affinityBefore(before, before))
}

// affinityBefore returns the slots by affinity ID of all frontends, where one of those that changed has clients' affinity; else nil.
func affinityBefore(changed, all map[key]*frontend) map[uint32][]netip.AddrPort {
	for _, f := range changed {
		if f.affinityID != 0 {
			return affinitySlots(all)
		}
	}
	return nil
}

// cleanUpRemoved updates what the kernel keeps of endpoints that were removed: clients' affinity, which had slots (nil: none had), and UDP
// flows. before and now are the frontends of the keys that changed.
func (s *syncer) cleanUpRemoved(before, now map[key]*frontend, slots map[uint32][]netip.AddrPort) error {
	if slots != nil {
		if err := s.kernel.remapAffinity(slots, affinitySlots(s.frontends)); err != nil {
			s.needFullSync = true
			return err
		}
	}
	return deleteStaleFlows(staleUDP(before, now))
}

func (s *syncer) logConflicts(conflicts []conflict) {
	for _, c := range conflicts {
		if slices.Contains(s.conflicts, c) {
			continue
		}
		reason := cmp.Or(c.reason, "owner takes precedence")
		if pod, ok := strings.CutPrefix(c.loser, podOwnerPrefix); ok {
			s.log.Warn("host port left out", "agent", "proxy", "key", c.key.String(), "pod", pod, "owner", c.owner, "reason", reason)
			continue
		}
		s.log.Warn("service address left out", "agent", "proxy", "key", c.key.String(), "service", c.loser, "owner", c.owner, "reason", reason)
	}
	s.conflicts = conflicts
}

// updateRefs adds delta to the number of frontends that need each shared element. Elements that no frontend needs any more
// are put into have, those that are needed for the first time into next.
func (s *syncer) updateRefs(delta map[sharedElement]int, have, next elements) {
	for e, d := range delta {
		before := s.refs[e]
		s.refs[e] = before + d
		switch {
		case before > 0 && before+d == 0:
			have[e.element] = e.data
			delete(s.refs, e)
		case before == 0 && d > 0:
			next[e.element] = e.data
		}
	}
}
