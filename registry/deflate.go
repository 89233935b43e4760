package registry

import (
	"bytes"
	"compress/flate"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"
)

// Block is some neighbours of a list, joined by commas and deflated together. A pod by itself deflates 2.4 times, sixteen
// in one block 18 times, and a block is deflated once for as long as none of its objects changes.
type Block struct {
	// Deflated is a piece of a raw deflate stream (RFC 1951) that ends in a sync flush, so that pieces may follow each
	// other; read-only.
	Deflated []byte
	// Size is the length of the text and CRC its IEEE CRC-32.
	Size int
	CRC  uint32

	items []uint64 // what it was made of: Item.serial
}

const (
	blockMean = 16 // items, on average
	blockMost = 64
)

// serials number the items that are made: a block names its items by them, without keeping them alive.
var serials atomic.Uint64

// startsBlock tells whether an item is the first of a block. It depends on the key alone, so blocks stay what they are when other objects
// come and go.
func startsBlock(relKey string) bool {
	h := uint32(2166136261)
	for i := range len(relKey) {
		h = (h ^ uint32(relKey[i])) * 16777619
	}
	return (h^h>>15)*2654435761>>16%blockMean == 0
}

// Blocks returns the deflated text of the list's items in order; a comma belongs between two blocks. It pays where Whole is
// set: other lists' blocks are not kept.
func (l List) Blocks() []*Block {
	blocks := make([]*Block, 0, len(l.Items)/blockMean+2)
	for relKey := l.Items; len(relKey) > 0; {
		n := 1
		for n < len(relKey) && n < blockMost && !startsBlock(relKey[n].relKey) {
			n++
		}
		// The last one may be cut short by the end of a page: nothing to keep.
		blocks = append(blocks, blockOf(relKey[:n], l.Whole && (n < len(relKey) || l.Continue == "")))
		relKey = relKey[n:]
	}
	return blocks
}

// blockOf is the block of items, which is kept at the first of them.
func blockOf(items []*Item, keep bool) *Block {
	if b := items[0].block.Load(); keep && b != nil && slices.EqualFunc(b.items, items, func(n uint64, it *Item) bool { return n == it.serial }) {
		return b
	}
	b := deflate(items)
	if keep {
		items[0].block.Store(b)
	}
	return b
}

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is a valid constant
	return w
}}

func deflate(items []*Item) *Block {
	b := &Block{items: make([]uint64, len(items))}
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	write := func(text []byte) {
		_, _ = w.Write(text) // a Buffer takes everything
		b.CRC = crc32.Update(b.CRC, crc32.IEEETable, text)
		b.Size += len(text)
	}
	for i, it := range items {
		if i > 0 {
			write(comma)
		}
		write(it.JSON)
		b.items[i] = it.serial
	}
	_ = w.Flush()
	b.Deflated = bytes.Clone(out.Bytes())
	return b
}

var comma = []byte{','}
