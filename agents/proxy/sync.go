package proxy

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// syncer programs the kernel's table with the compiled objects.
type syncer struct {
	kernel   *kernelTable
	log      *slog.Logger
	compiled map[string]*compiledObject
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
	return &syncer{kernel: k, log: log, compiled: map[string]*compiledObject{}, frontends: map[key]*frontend{}, refs: map[sharedElement]int{}, needFullSync: true}
}

// sync makes the table that of compiled, and returns how many elements were changed.
func (s *syncer) sync() (int, error) {
	want, conflicts := resolveConflicts(s.compiled)
	s.logConflicts(conflicts)
	if s.needFullSync {
		return s.syncAll(want)
	}
	touched := map[key]bool{}
	for k, f := range s.frontends {
		if want[k] != f {
			touched[k] = true
		}
	}
	for k, f := range want {
		if s.frontends[k] != f {
			touched[k] = true
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
	before := s.frontends
	s.frontends = want
	return n, s.cleanUpRemoved(before, want, touched)
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
	s.frontends, s.needFullSync = want, false
	return n, s.cleanUpRemoved(decodeFrontends(have), want, nil)
}

// cleanUpRemoved updates what the kernel keeps of endpoints that were removed: clients' affinity and UDP flows. touched are the
// keys that changed; nil stands for all.
func (s *syncer) cleanUpRemoved(before, now map[key]*frontend, touched map[key]bool) error {
	changed, to := before, now
	if touched != nil {
		changed, to = selectKeys(before, touched), selectKeys(now, touched)
	}
	for _, f := range changed {
		if f.affinityID == 0 {
			continue
		}
		if err := s.kernel.remapAffinity(affinitySlots(before), affinitySlots(now)); err != nil {
			s.needFullSync = true
			return err
		}
		break
	}
	return deleteStaleFlows(staleUDP(changed, to))
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

func selectKeys(all map[key]*frontend, keys map[key]bool) map[key]*frontend {
	return maps.Collect(func(yield func(key, *frontend) bool) {
		for k := range keys {
			if f := all[k]; f != nil && !yield(k, f) {
				return
			}
		}
	})
}
