package main

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
)

// rawTable is the table that the floors program with the elements of the proxy's.
const rawTable = "bench"

// Limits of a netlink message and of a transaction, in elements: those of the proxy.
const rawMessage, rawBatch = 400, 4000

// rawSet is a set of the table with its elements.
type rawSet struct {
	name     string
	key      nftables.SetDatatype
	data     *nftables.SetDatatype // nil: no map
	elements []nftables.SetElement
}

// rawSets are the sets of the proxy's table that Services with endpoints fill, what elements lead to last.
func rawSets() []rawSet {
	address, proto, port := nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService
	dest, verdict := nftables.MustConcatSetType(address, port), nftables.TypeVerdict
	return []rawSet{
		{name: "cluster-ips", key: address},
		{name: "slots", key: nftables.MustConcatSetType(address, proto, port, nftables.TypeMark), data: &dest},
		{name: "masquerades", key: nftables.MustConcatSetType(address, proto, port)},
		{name: "services", key: nftables.MustConcatSetType(address, proto, port), data: &verdict},
	}
}

func (s rawSet) of(table string) *nftables.Set {
	set := &nftables.Set{Table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: table}, Name: s.name, KeyType: s.key, KeyByteOrder: binaryutil.BigEndian}
	if s.data != nil {
		set.IsMap, set.DataType = true, *s.data
	}
	return set
}

// rawConn is a connection with buffers as large as the proxy's.
func rawConn() (*nftables.Conn, error) {
	return nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetWriteBuffer(16<<20), c.SetReadBuffer(16<<20))
	}))
}

// readRaw reads the elements of the proxy's table.
func readRaw() ([]rawSet, error) {
	conn, err := rawConn()
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseLasting() }()
	sets := rawSets()
	for i := range sets {
		if sets[i].elements, err = conn.GetSetElements(sets[i].of("gantry")); err != nil {
			return nil, err
		}
		// In the order of the keys, as the proxy adds them: the kernel lists them in the order of its hash table.
		slices.SortFunc(sets[i].elements, func(x, y nftables.SetElement) int { return bytes.Compare(x.Key, y.Key) })
		for j := range sets[i].elements {
			if e := &sets[i].elements[j]; sets[i].name == "services" {
				e.Val, e.VerdictData = nil, &expr.Verdict{Kind: expr.VerdictGoto, Chain: "pick-2"}
			}
		}
	}
	return sets, nil
}

// programRaw makes the table with all elements and returns how long that took.
func programRaw(sets []rawSet) (time.Duration, error) {
	conn, err := rawConn()
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.CloseLasting() }()
	began := time.Now()
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: rawTable})
	for _, name := range []string{"pick-1", "pick-2"} {
		conn.AddChain(&nftables.Chain{Table: table, Name: name})
	}
	for _, s := range sets {
		if err := conn.AddSet(s.of(rawTable), nil); err != nil {
			return 0, err
		}
	}
	pending := 0
	for _, s := range sets {
		set := s.of(rawTable)
		for part := range slices.Chunk(s.elements, rawMessage) {
			if err := conn.SetAddElements(set, part); err != nil {
				return 0, err
			}
			if pending += len(part); pending >= rawBatch {
				if err := conn.Flush(); err != nil {
					return 0, err
				}
				pending = 0
			}
		}
	}
	err = conn.Flush()
	return time.Since(began), err
}

// changeRaw replaces the element of a service and deletes, then adds, its second slot, so many times, and returns how long each
// transaction took.
func changeRaw(sets []rawSet, count int) ([]time.Duration, error) {
	conn, err := rawConn()
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseLasting() }()
	slots, services := sets[1], sets[3]
	times := make([]time.Duration, count)
	for i := range times {
		service := services.elements[i/2%len(services.elements)]
		j := slices.IndexFunc(slots.elements, func(e nftables.SetElement) bool {
			return bytes.Equal(e.Key[:12], service.Key) && bytes.Equal(e.Key[12:], hostOrder(1))
		})
		slot := []nftables.SetElement{slots.elements[j]}
		chain, change := "pick-1", conn.SetDeleteElements
		if i%2 == 1 {
			chain, change = "pick-2", conn.SetAddElements
		}
		to := service
		to.VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}
		began := time.Now()
		err := errors.Join(
			conn.SetDeleteElements(services.of(rawTable), []nftables.SetElement{{Key: service.Key}}),
			change(slots.of(rawTable), slot),
			conn.SetAddElements(services.of(rawTable), []nftables.SetElement{to}),
			conn.Flush())
		if err != nil {
			return nil, err
		}
		times[i] = time.Since(began)
	}
	return times, nil
}

// deleteTable deletes a table, if it is there.
func deleteTable(name string) error {
	conn, err := rawConn()
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseLasting() }()
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: name})
	conn.DelTable(table)
	return conn.Flush()
}
