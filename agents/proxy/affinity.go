package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// remap brings the clients' remembered slots up to date when the slots of a key mean other endpoints than before: a client
// keeps its endpoint under its new number, and forgets one that is gone.
func (k *kernel) remap(before, now map[key]*front) error {
	if !slices.ContainsFunc(mapValues(before), func(f *front) bool {
		return f.sticky && (now[f.key] == nil || !slices.Equal(f.slots, now[f.key].slots))
	}) {
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
		to, stays := move(e, before, now)
		if stays && to == slotNumber(e) {
			continue
		}
		if err := k.replaceAffinity(e, to, stays); err != nil {
			return fmt.Errorf("changing map %s: %w", affinitySet, err)
		}
	}
	return nil
}

// replaceAffinity changes one entry; it may time out meanwhile.
func (k *kernel) replaceAffinity(e nftables.SetElement, to uint32, stays bool) error {
	if err := k.open(); err != nil {
		return err
	}
	err := k.conn.SetDeleteElements(k.layout.affinity, []nftables.SetElement{{Key: e.Key}})
	if err == nil && stays {
		next := nftables.SetElement{Key: e.Key, Val: binary.NativeEndian.AppendUint32(nil, to), Timeout: e.Timeout}
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
func move(e nftables.SetElement, before, now map[key]*front) (to uint32, stays bool) {
	slot := slotNumber(e)
	if len(e.Key) < 4+keyWords {
		return slot, false
	}
	k, _ := readKey(string(e.Key[4:]))
	was, is := before[k], now[k]
	if was == nil {
		return slot, true // not among what changed
	}
	if is == nil || !is.sticky || int(slot) >= len(was.slots) {
		return slot, false
	}
	i := slices.Index(is.slots, was.slots[slot])
	return uint32(i), i >= 0
}

func slotNumber(e nftables.SetElement) uint32 {
	if len(e.Val) < 4 {
		return noSlot
	}
	return binary.NativeEndian.Uint32(e.Val)
}

func mapValues(m map[key]*front) []*front {
	out := make([]*front, 0, len(m))
	for _, f := range m {
		out = append(out, f)
	}
	return out
}
