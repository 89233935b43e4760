package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"gantry/agents/internal/nft"
)

// kernel is the table as it is in the kernel. One goroutine uses it.
type kernel struct {
	layout *layout
	cidr   netip.Prefix
	conn   *nftables.Conn // nil: to be opened
	// port is conn's netlink port, by which the monitor knows our own changes.
	port *atomic.Uint32
	// pickers are the chains of chainName that are there and right.
	pickers map[string]bool
}

func newKernel(clusterCIDR netip.Prefix) *kernel {
	return &kernel{layout: newLayout(clusterCIDR), cidr: clusterCIDR, port: new(atomic.Uint32), pickers: map[string]bool{}}
}

// socketBuffer bounds what one batch may take: the kernel answers EMSGSIZE to a message longer than the send buffer and ENOBUFS
// when the acknowledgements, one a message and near 800 bytes each, do not fit the receive buffer.
const socketBuffer = 16 << 20

func (k *kernel) open() error {
	if k.conn != nil {
		return nil
	}
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		port, err := nft.Port(c)
		k.port.Store(port)
		return errors.Join(err, c.SetWriteBuffer(socketBuffer), c.SetReadBuffer(socketBuffer))
	}))
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	k.conn = conn
	return nil
}

// isForeign tells that a change of a table is one of ours by somebody else. Any goroutine may ask.
func (k *kernel) isForeign(table string, port uint32) bool {
	return table == TableName && port != k.port.Load()
}

// close forgets the connection: after an error acknowledgements may still wait in it.
func (k *kernel) close() {
	if k.conn != nil {
		_ = k.conn.CloseLasting()
		k.conn = nil
	}
}

// state is what read found.
type state int

const (
	absent state = iota
	foreign
	whole
)

// read returns the table's elements. absent: there is no table; foreign: it is not what this release makes (another
// release's, or somebody changed it). It reads nothing but our own table.
func (k *kernel) read() (elements, state, error) {
	if err := k.open(); err != nil {
		return nil, absent, err
	}
	rules, err := nft.Rules(TableName)
	if err != nil {
		return nil, absent, err
	}
	found := marksOf(rules)
	if len(found) == 0 {
		return nil, absent, nil
	}
	if !k.recognise(found) {
		return nil, foreign, nil
	}
	have := elements{}
	for id, s := range k.layout.sets {
		es, err := k.conn.GetSetElements(s)
		if errors.Is(err, unix.ENOENT) {
			return nil, foreign, nil
		}
		if err != nil {
			k.close()
			return nil, absent, fmt.Errorf("reading set %s: %w", s.Name, err)
		}
		for _, e := range es {
			if key, data, ok := readElement(setID(id), e); ok {
				have[key] = data
			}
		}
	}
	if _, err := k.conn.GetSetByName(k.layout.table, affinitySet); err != nil {
		k.close()
		return nil, foreign, nil
	}
	return have, whole, nil
}

// recognise tells that every rule is there in its order, and notes the picking chains. Rules without our
// fingerprint, an admin's tracing for instance, are let be.
func (k *kernel) recognise(found map[string][]string) bool {
	for _, c := range k.layout.chains {
		if !slices.Equal(found[c.Name], c.marks()) {
			return false
		}
	}
	clear(k.pickers)
	for name, marks := range found {
		if _, ok := parseChain(name); !ok {
			continue
		}
		if !slices.Equal(marks, k.layout.picker(name, k.cidr).marks()) {
			return false
		}
		k.pickers[name] = true
	}
	return true
}

// marksOf are the fingerprints of our rules by chain.
func marksOf(rules map[string][]nft.Found) map[string][]string {
	found := map[string][]string{}
	for chain, rs := range rules {
		for _, r := range rs {
			if r.Mark != "" {
				found[chain] = append(found[chain], r.Mark)
			}
		}
	}
	return found
}

func (c *chain) marks() []string {
	var out []string
	for _, r := range c.rules {
		out = append(out, r.Mark())
	}
	return out
}
