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

// affinityID identifies one port of a service in the affinity map, for all of its frontends; k is the key of the port on the
// service's first cluster IP. It is a hash with the top bit set, so it differs from every slot number. Two ports with equal
// hashes share their clients' slot numbers; a client still reaches the service it asked for.
func affinityID(k key) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.words()))
	return h.Sum32() | 1<<31
}

// affinitySlots returns the slots by affinity ID. Where two frontends of one port have different slots, the longer list counts:
// the other is the beginning of it. (Except while all endpoints on this node are terminating and others are ready: affinity then
// holds for each frontend by itself.)
func affinitySlots(frontends map[key]*frontend) map[uint32][]netip.AddrPort {
	out := map[uint32][]netip.AddrPort{}
	for _, f := range frontends {
		was := out[f.affinityID]
		if f.affinityID != 0 && cmp.Or(cmp.Compare(len(f.slots), len(was)), slices.CompareFunc(f.slots, was, netip.AddrPort.Compare)) > 0 {
			out[f.affinityID] = f.slots
		}
	}
	return out
}

// remapAffinity updates the entries of the affinity map when the slots of a port have changed: an entry gets the new number of its
// endpoint, or is deleted when the endpoint was removed. before and now are results of affinitySlots.
func (k *kernelTable) remapAffinity(before, now map[uint32][]netip.AddrPort) error {
	if !k.isMade || maps.EqualFunc(before, now, slices.Equal) {
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

// replaceAffinity changes or deletes one entry. ENOENT is no error: the entry has timed out meanwhile.
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

// remapSlot returns the slot that an entry of the affinity map should have; stays is false when its endpoint was removed. Pure.
func remapSlot(e nftables.SetElement, before, now map[uint32][]netip.AddrPort) (to uint32, stays bool) {
	if len(e.Key) < 4 || len(e.Val) != 4 {
		return 0, false
	}
	slot, id := readHostOrder(string(e.Val)), readHostOrder(string(e.Key[len(e.Key)-4:])) // behind the client's address
	was, known := before[id]
	if !known {
		return slot, true // no former slots to translate from
	}
	if int(slot) >= len(was) {
		return slot, false
	}
	i := slices.Index(now[id], was[slot])
	return uint32(i), i >= 0
}
