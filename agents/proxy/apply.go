package proxy

import (
	"fmt"
	"slices"

	"github.com/google/nftables"

	"gantry/agents/internal/nft"
)

// ensure reads the table and changes the elements that differ from want. A table whose rules are not those of this
// release is replaced in one transaction. It returns the elements that it read and how many it changed.
func (k *kernelTable) ensure(want elements) (before elements, n int, err error) {
	have, st, err := k.read()
	if err != nil {
		return nil, 0, err
	}
	k.isMade = st == intact
	switch {
	case len(want) == 0 && k.onDemand:
		return have, len(have), k.remove(st)
	case st == absent:
		if err := k.build(nil); err != nil {
			return nil, 0, fmt.Errorf("making table %s: %w", TableName, err)
		}
	case st == foreign:
		if err := k.build(want); err != nil {
			return nil, 0, fmt.Errorf("replacing table %s: %w", TableName, err)
		}
		return nil, len(want), nil
	}
	n, err = k.change(have, want)
	return have, n, err
}

// build replaces the table with a new one that has the elements of want, in one transaction.
func (k *kernelTable) build(want elements) error {
	if err := k.open(); err != nil {
		return err
	}
	l := k.layout
	clear(k.endpointChains)
	// Adding before deleting makes the deletion valid whether or not there is a table.
	k.conn.AddTable(l.table)
	k.conn.DelTable(l.table)
	k.conn.AddTable(l.table)
	for _, s := range []*nftables.Set{
		l.sets[services], l.sets[slots], l.sets[unserved], l.sets[stickyKeys], l.affinity,
		l.sets[restricted], l.sets[sourceRanges], l.sets[masqKeys], l.sets[hairpins], l.sets[clusterAddrs], l.sets[loopbackKeys], l.sets[loopbackPods],
	} {
		if s == nil {
			continue
		}
		if err := k.conn.AddSet(s, nil); err != nil {
			return err
		}
	}
	for _, c := range l.chains {
		k.conn.AddChain(c.Chain)
	}
	for _, c := range l.chains {
		k.addRules(c)
	}
	if err := k.stage(changes(nil, want)); err != nil {
		return err
	}
	if err := k.flush(); err != nil {
		return err
	}
	k.isMade = true
	return nil
}

// remove removes the table that read found.
func (k *kernelTable) remove(st tableState) error {
	k.isMade = false
	clear(k.endpointChains)
	if st == absent {
		return nil
	}
	k.conn.DelTable(k.layout.table)
	return k.flush()
}

func (k *kernelTable) addRules(c *chain) {
	for _, r := range c.rules {
		k.conn.AddRule(&nftables.Rule{Table: k.layout.table, Chain: c.Chain, Exprs: r.Exprs, UserData: r.UserData()})
	}
}

// change replaces the elements of have by those of want and returns how many were changed. Both may be the elements of some
// keys only. All elements of one key change in one transaction.
func (k *kernelTable) change(have, want elements) (int, error) {
	if err := k.open(); err != nil {
		return 0, err
	}
	all := changes(have, want)
	for rest := all; len(rest) > 0; {
		n := batchEnd(rest)
		if err := k.stage(rest[:n]); err != nil {
			k.close()
			return 0, err
		}
		if err := k.flush(); err != nil {
			return 0, fmt.Errorf("changing elements of table %s: %w", TableName, err)
		}
		rest = rest[n:]
	}
	return len(all), nil
}

// stage puts edits into the pending transaction, with the chains they need: deletions first, and services last, so that
// whatever an element leads to exists.
func (k *kernelTable) stage(es []edit) error {
	var dels, adds [setCount][]nftables.SetElement
	for _, e := range es {
		if e.del {
			dels[e.set] = append(dels[e.set], e.nftKey())
			continue
		}
		if e.set == services {
			k.ensureChain(e.data)
		}
		adds[e.set] = append(adds[e.set], e.nft(e.data))
	}
	for id := setCount - 1; id >= 0; id-- {
		for part := range slices.Chunk(dels[id], messageElements) {
			if err := k.conn.SetDeleteElements(k.layout.sets[id], part); err != nil {
				return err
			}
		}
	}
	for id := range adds {
		for part := range slices.Chunk(adds[id], messageElements) {
			if err := k.conn.SetAddElements(k.layout.sets[id], part); err != nil {
				return err
			}
		}
	}
	return nil
}

// messageElements bounds the elements in one netlink message: their list is an attribute with a 16-bit length, under 64 KiB.
const messageElements = 400

// ensureChain stages the chains that an element leads to and that are not there yet.
func (k *kernelTable) ensureChain(name string) {
	c, ok := parseChain(name)
	if !ok || k.endpointChains[name] {
		return
	}
	for _, n := range c.needs() {
		if k.endpointChains[n] {
			continue
		}
		p := k.layout.endpointChain(n, k.cidr)
		k.conn.AddChain(p.Chain)
		k.addRules(p)
		k.endpointChains[n] = true
	}
}

func (k *kernelTable) flush() error {
	if err := k.conn.Flush(); err != nil {
		clear(k.endpointChains) // the staged chains were not made; the next sync reads the table
		k.close()
		return err
	}
	return nil
}

// Clean removes the proxy's tables. It returns nil when there is none.
func Clean() error { return nft.RemoveTable(TableName) }
