package proxy

import (
	"cmp"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
)

// syncer programs the kernel's tables with the compiled objects.
type syncer struct {
	tables   []*tableSyncer // one for each family
	log      *slog.Logger
	compiled map[string]*compiledObject
	// changed names the objects of compiled that may have changed since the last sync that succeeded; nil: any may.
	changed   map[string]bool
	claims    *claims
	conflicts []conflict
}

// tableSyncer programs one family's table.
type tableSyncer struct {
	kernel *kernelTable
	// frontends are those of the last sync that succeeded.
	frontends map[key]*frontend
	// refs counts the frontends that need a shared element.
	refs map[sharedElement]int
	// needFullSync makes the next sync read the table, because it may differ from frontends: at the start, after an error and after
	// another program's change.
	needFullSync bool
}

func newSyncer(tables []*kernelTable, log *slog.Logger) *syncer {
	s := &syncer{log: log, compiled: map[string]*compiledObject{}, claims: newClaims()}
	for _, k := range tables {
		s.tables = append(s.tables, &tableSyncer{kernel: k, frontends: map[key]*frontend{}, refs: map[sharedElement]int{}, needFullSync: true})
	}
	return s
}

// readTables makes the next sync read the tables.
func (s *syncer) readTables() {
	for _, t := range s.tables {
		t.needFullSync = true
	}
}

// sync makes the tables those of compiled, and returns how many elements were changed. A fault in one table does not keep it from the other.
func (s *syncer) sync() (changed int, err error) {
	touched := s.claims.update(s.compiled, s.changed)
	s.logConflicts(s.claims.conflicts())
	for _, t := range s.tables {
		n, fault := t.sync(touched, s.claims.won)
		changed, err = changed+n, errors.Join(err, fault)
	}
	return changed, err
}

// sync makes the table that of the family's frontends in want; without needFullSync only those of touched, which has both families' keys.
func (s *tableSyncer) sync(all map[key]bool, want map[key]*frontend) (int, error) {
	before, touched := map[key]*frontend{}, map[key]bool{}
	for k := range all {
		if k.family() == s.kernel.layout.family && s.frontends[k] != want[k] {
			touched[k] = true
		}
	}
	if s.needFullSync || (len(touched) > 0 && !s.kernel.isMade) {
		return s.syncAll(want)
	}
	for k := range touched {
		if f := s.frontends[k]; f != nil {
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

// syncAll reads the table and changes what differs. all are both families' frontends.
func (s *tableSyncer) syncAll(all map[key]*frontend) (int, error) {
	es, want := elements{}, map[key]*frontend{}
	s.needFullSync = true // until it has succeeded
	clear(s.refs)
	for k, f := range all {
		if k.family() != s.kernel.layout.family {
			continue
		}
		want[k] = f
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
	s.frontends, s.needFullSync = want, false
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
func (s *tableSyncer) cleanUpRemoved(before, now map[key]*frontend, slots map[uint32][]netip.AddrPort) error {
	if slots != nil {
		if err := s.kernel.remapAffinity(slots, affinitySlots(s.frontends)); err != nil {
			s.needFullSync = true
			return err
		}
	}
	return deleteStaleFlows(s.kernel.layout.family, staleUDP(before, now))
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
func (s *tableSyncer) updateRefs(delta map[sharedElement]int, have, next elements) {
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
