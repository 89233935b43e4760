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

// kernelTable reads and changes a family's table in the kernel. It is for one goroutine, isForeign excepted.
type kernelTable struct {
	layout *layout
	cidr   netip.Prefix
	conn   *nftables.Conn // nil: to be opened
	// port is conn's netlink port, by which isForeign recognises the proxy's own changes.
	port *atomic.Uint32
	// endpointChains holds the names of the chains of chainName that the table has.
	endpointChains map[string]bool
	// onDemand: there is no table while nothing is wanted in it.
	onDemand bool
	// isMade: the table was there when it was last read or made.
	isMade bool
}

func newKernelTable(clusterCIDR netip.Prefix) *kernelTable {
	f := nft.FamilyOf(clusterCIDR.Addr())
	return &kernelTable{layout: newLayout(f, clusterCIDR), cidr: clusterCIDR, port: new(atomic.Uint32), endpointChains: map[string]bool{}}
}

// socketBuffer is the size of the send and receive buffer in bytes. It bounds one transaction: the kernel returns EMSGSIZE for a
// batch longer than the send buffer, and ENOBUFS when the acknowledgements, about 800 bytes for each message, do not fit into the
// receive buffer.
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

// isForeign returns whether a change concerns this table and was made by another socket. Safe for concurrent use.
func (k *kernelTable) isForeign(f *nft.Family, table string, port uint32) bool {
	return f == k.layout.family && table == TableName && port != k.port.Load()
}

// close closes the connection; open makes a new one. After an error the old one may hold unread acknowledgements.
func (k *kernelTable) close() {
	if k.conn != nil {
		_ = k.conn.CloseLasting()
		k.conn = nil
	}
}

// tableState is what read found.
type tableState int

const (
	absent tableState = iota
	foreign
	intact
)

// read returns the table's elements. absent: there is no table; foreign: its rules or sets are not those of this release (it is
// another release's, or another program changed it). It reads no other table.
func (k *kernelTable) read() (elements, tableState, error) {
	if err := k.open(); err != nil {
		return nil, absent, err
	}
	rules, err := nft.Rules(k.layout.family, TableName)
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
		if s == nil {
			continue
		}
		es, err := k.conn.GetSetElements(s)
		if errors.Is(err, unix.ENOENT) {
			return nil, foreign, nil
		}
		if err != nil {
			k.close()
			return nil, absent, fmt.Errorf("reading set %s: %w", s.Name, err)
		}
		for _, e := range es {
			key, data := decodeElement(setID(id), e)
			have[key] = data
		}
	}
	if _, err := k.conn.GetSetByName(k.layout.table, affinitySet); err != nil {
		k.close()
		return nil, foreign, nil
	}
	return have, intact, nil
}

// checkRules returns whether every rule is there in its order, and stores the names of the endpoint chains. Rules without a
// fingerprint, an admin's tracing for instance, are ignored.
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

// fingerprintsOf returns the fingerprints of the proxy's rules by chain.
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
