package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// affinityID is what clients of one port of a service are remembered by, whichever of its frontends they come by; k is the
// port's first cluster IP. It is no slot's number. Two ports that share one, of 1<<31, share clients' slot numbers too: no
// client is led to another service by it.
func affinityID(k key) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.words()))
	return h.Sum32() | 1<<31
}

// remembered are the slots that the numbers of affinity stand for. Of two frontends of one port the one with more counts: the other's are
// the first of them. (They are not while every endpoint here only drains and others are ready: then each frontend is true to itself.)
func affinitySlots(frontends map[key]*frontend) map[uint32][]netip.AddrPort {
	out := map[uint32][]netip.AddrPort{}
	for _, f := range frontends {
		was := out[f.sticky]
		if f.sticky != 0 && cmp.Or(cmp.Compare(len(f.slots), len(was)), slices.CompareFunc(f.slots, was, netip.AddrPort.Compare)) > 0 {
			out[f.sticky] = f.slots
		}
	}
	return out
}

// remap brings the clients' remembered slots up to date when the slots of a port mean other endpoints than before: a client
// keeps its endpoint under its new number, and forgets one that is gone. before and now are of remembered.
func (k *kernelTable) remapAffinity(before, now map[uint32][]netip.AddrPort) error {
	if maps.EqualFunc(before, now, slices.Equal) {
		return nil
	}
	if err := k.open(); err != nil {
		return err
	}
	found, err := k.conn.GetSetElements(k.layout.affinity)
	if err != nil {
		k.close()
		return fmt.Errorf("reading map %s: %w", affinitySet, err)
	}
	for _, e := range found {
		to, stays := remapSlot(e, before, now)
		if stays && hostOrder(to) == string(e.Val) {
			continue
		}
		if err := k.replaceAffinity(e, to, stays); err != nil {
			return fmt.Errorf("changing map %s: %w", affinitySet, err)
		}
	}
	return nil
}

// replaceAffinity changes one entry; it may time out meanwhile.
func (k *kernelTable) replaceAffinity(e nftables.SetElement, to uint32, stays bool) error {
	if err := k.open(); err != nil {
		return err
	}
	err := k.conn.SetDeleteElements(k.layout.affinity, []nftables.SetElement{{Key: e.Key}})
	if err == nil && stays {
		next := nftables.SetElement{Key: e.Key, Val: []byte(hostOrder(to)), Timeout: e.Timeout}
		err = k.conn.SetAddElements(k.layout.affinity, []nftables.SetElement{next})
	}
	if err == nil {
		err = k.conn.Flush()
	}
	if err != nil {
		k.close()
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// move is the slot that an entry of the affinity map should have: stays is false when its endpoint is gone. Pure.
func remapSlot(e nftables.SetElement, before, now map[uint32][]netip.AddrPort) (to uint32, stays bool) {
	if len(e.Key) != 8 || len(e.Val) != 4 {
		return 0, false
	}
	slot, number := readHostOrder(string(e.Val)), readHostOrder(string(e.Key[4:]))
	was, known := before[number]
	if !known {
		return slot, true // of a port that is new, or gone since long
	}
	if int(slot) >= len(was) {
		return slot, false
	}
	i := slices.Index(now[number], was[slot])
	return uint32(i), i >= 0
}
