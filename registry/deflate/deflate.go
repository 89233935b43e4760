// Package deflate deflates the items of lists in blocks of neighbours. A pod by itself deflates 2.4 times, sixteen in one block 18 times, and
// a block can be kept for as long as none of its items changes.
package deflate

import (
	"bytes"
	"compress/flate"
	"hash/crc32"
	"sync"
)

// Block is some neighbours of a list, joined by commas and deflated together.
type Block struct {
	// Deflated is a piece of a raw deflate stream (RFC 1951) that ends in a sync flush, so that pieces may follow each
	// other; read-only.
	Deflated []byte
	// Size is the length of the text and CRC its IEEE CRC-32.
	Size int
	CRC  uint32
}

// Mean is how many items a block has on average.
const Mean = 16

const mostItems = 64

// Length returns how many of n > 0 neighbours are the first block. Where a block starts depends on its first key alone, so blocks stay
// what they are when other items come and go.
func Length(n int, key func(i int) string) int {
	length := 1
	for length < n && length < mostItems && !startsBlock(key(length)) {
		length++
	}
	return length
}

func startsBlock(key string) bool {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return (h^h>>15)*2654435761>>16%Mean == 0
}

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is a valid constant
	return w
}}

// Join returns the block of n texts.
func Join(n int, text func(i int) []byte) *Block {
	b := &Block{}
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	write := func(text []byte) {
		_, _ = w.Write(text) // a Buffer takes everything
		b.CRC = crc32.Update(b.CRC, crc32.IEEETable, text)
		b.Size += len(text)
	}
	for i := range n {
		if i > 0 {
			write(comma)
		}
		write(text(i))
	}
	_ = w.Flush()
	b.Deflated = bytes.Clone(out.Bytes())
	return b
}

var comma = []byte{','}
