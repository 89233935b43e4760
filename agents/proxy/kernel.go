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
type kernelTable struct {
	layout *layout
	cidr   netip.Prefix
	conn   *nftables.Conn // nil: to be opened
	// port is conn's netlink port, by which the monitor knows our own changes.
	port *atomic.Uint32
	// endpointChains are the chains of chainName that are there and right.
	endpointChains map[string]bool
}

func newKernelTable(clusterCIDR netip.Prefix) *kernelTable {
	return &kernelTable{layout: newLayout(clusterCIDR), cidr: clusterCIDR, port: new(atomic.Uint32), endpointChains: map[string]bool{}}
}

// socketBuffer bounds what one batch may take: the kernel answers EMSGSIZE to a message longer than the send buffer and ENOBUFS
// when the acknowledgements, one a message and near 800 bytes each, do not fit the receive buffer.
const socketBuffer = 16 << 20

func (k *kernelTable) open() error {
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
func (k *kernelTable) isForeign(table string, port uint32) bool {
	return table == TableName && port != k.port.Load()
}

// close forgets the connection: after an error acknowledgements may still wait in it.
func (k *kernelTable) close() {
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
	intact
)

// read returns the table's elements. absent: there is no table; foreignChange: it is not what this release makes (another
// release's, or somebody changed it). It reads nothing but our own table.
func (k *kernelTable) read() (elements, state, error) {
	if err := k.open(); err != nil {
		return nil, absent, err
	}
	rules, err := nft.Rules(TableName)
	if err != nil {
		return nil, absent, err
	}
	found := fingerprintsOf(rules)
	if len(found) == 0 {
		return nil, absent, nil
	}
	if !k.checkRules(found) {
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
			if key, data, ok := decodeElement(setID(id), e); ok {
				have[key] = data
			}
		}
	}
	if _, err := k.conn.GetSetByName(k.layout.table, affinitySet); err != nil {
		k.close()
		return nil, foreign, nil
	}
	return have, intact, nil
}

// checkRules tells that every rule is there in its order, and notes the picking chains. Rules without our
// fingerprint, an admin's tracing for instance, are let be.
func (k *kernelTable) checkRules(found map[string][]string) bool {
	for _, c := range k.layout.chains {
		if !slices.Equal(found[c.Name], c.fingerprints()) {
			return false
		}
	}
	clear(k.endpointChains)
	for name, prints := range found {
		if _, ok := parseChain(name); !ok {
			continue
		}
		if !slices.Equal(prints, k.layout.endpointChain(name, k.cidr).fingerprints()) {
			return false
		}
		k.endpointChains[name] = true
	}
	return true
}

// fingerprintsOf are the fingerprints of our rules by chain.
func fingerprintsOf(rules map[string][]nft.InstalledRule) map[string][]string {
	found := map[string][]string{}
	for chain, rs := range rules {
		for _, r := range rs {
			if r.Fingerprint != "" {
				found[chain] = append(found[chain], r.Fingerprint)
			}
		}
	}
	return found
}

func (c *chain) fingerprints() []string {
	var out []string
	for _, r := range c.rules {
		out = append(out, r.Fingerprint())
	}
	return out
}
