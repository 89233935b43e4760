package proxy

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// program is what the kernel is to do, and brings it there.
type program struct {
	kernel   *kernel
	log      *slog.Logger
	compiled map[string]*compiled
	// fronts are those programmed last.
	fronts map[key]*front
	// refs counts the fronts that need a shared element.
	refs    map[sharedElement]int
	clashes []clash
	// unsure tells that the kernel may have something else than fronts: at the start, after an error, after another program's
	// change. Then the table is read.
	unsure bool
}

func newProgram(k *kernel, log *slog.Logger) *program {
	return &program{kernel: k, log: log, compiled: map[string]*compiled{}, fronts: map[key]*front{}, refs: map[sharedElement]int{}, unsure: true}
}

// sync makes the kernel do what compiled says. It returns how many elements were changed.
func (p *program) sync() (int, error) {
	want, clashes := merge(p.compiled)
	p.warn(clashes)
	if p.unsure {
		return p.syncAll(want)
	}
	touched := map[key]bool{}
	for k, f := range p.fronts {
		if want[k] != f {
			touched[k] = true
		}
	}
	for k, f := range want {
		if p.fronts[k] != f {
			touched[k] = true
		}
	}
	if len(touched) == 0 {
		return 0, nil
	}
	have, next := elements{}, elements{}
	shared := map[sharedElement]int{}
	for k := range touched {
		p.fronts[k].add(have)
		want[k].add(next)
		for _, e := range p.fronts[k].shared() {
			shared[e]--
		}
		for _, e := range want[k].shared() {
			shared[e]++
		}
	}
	p.count(shared, have, next)
	n, err := p.kernel.change(have, next)
	if err != nil {
		p.unsure = true
		return n, err
	}
	before := p.fronts
	p.fronts = want
	return n, p.forget(before, want, touched)
}

// syncAll reads the table and changes what differs.
func (p *program) syncAll(want map[key]*front) (int, error) {
	es := elements{}
	clear(p.refs)
	for _, f := range want {
		f.add(es)
		for _, e := range f.shared() {
			es[e.element] = e.data
			p.refs[e]++
		}
	}
	have, n, err := p.kernel.ensure(es)
	if err != nil {
		return n, err
	}
	p.fronts, p.unsure = want, false
	return n, p.forget(readFronts(have), want, nil)
}

// forget ends what the kernel remembers of endpoints that are gone: clients' affinity and flows of UDP. touched are the keys
// that changed; nil: any may have.
func (p *program) forget(before, now map[key]*front, touched map[key]bool) error {
	changed, to := before, now
	if touched != nil {
		changed, to = pick(before, touched), pick(now, touched)
	}
	for _, f := range changed {
		if f.sticky == 0 {
			continue
		}
		if err := p.kernel.remap(remembered(before), remembered(now)); err != nil {
			p.unsure = true
			return err
		}
		break
	}
	return deleteStale(staleUDP(changed, to))
}

func (p *program) warn(clashes []clash) {
	for _, c := range clashes {
		if slices.Contains(p.clashes, c) {
			continue
		}
		reason := cmp.Or(c.reason, "another has it")
		if pod, ok := strings.CutPrefix(c.loser, podMark); ok {
			p.log.Warn("host port left out", "agent", "proxy", "key", c.key.String(), "pod", pod, "owner", c.owner, "reason", reason)
			continue
		}
		p.log.Warn("service address left out", "agent", "proxy", "key", c.key.String(), "service", c.loser, "owner", c.owner, "reason", reason)
	}
	p.clashes = clashes
}

// count keeps the number of fronts that need each shared element, and puts into have those nobody needs any more
// and into next those needed for the first time.
func (p *program) count(delta map[sharedElement]int, have, next elements) {
	for e, d := range delta {
		before := p.refs[e]
		p.refs[e] = before + d
		switch {
		case before > 0 && before+d == 0:
			have[e.element] = e.data
			delete(p.refs, e)
		case before == 0 && d > 0:
			next[e.element] = e.data
		}
	}
}

func pick(all map[key]*front, keys map[key]bool) map[key]*front {
	return maps.Collect(func(yield func(key, *front) bool) {
		for k := range keys {
			if f := all[k]; f != nil && !yield(k, f) {
				return
			}
		}
	})
}
