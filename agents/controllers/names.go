package controllers

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"gantry/schema"
)

// Names of created objects derive from their owner and from what was seen when they were planned, so the same view
// plans the same names: a second creation from a stale view collides instead of making a duplicate.

// alphabet has no vowels and no look-alikes, as generated names of Kubernetes.
const alphabet = "bcdfghjklmnpqrstvwxz2456789"

const (
	suffixLength = 5
	// maxBase leaves room for the suffix in a name of 63 characters.
	maxBase = 63 - suffixLength
)

// view collects what a name derives from.
type view struct{ h hash.Hash }

func newView(owner schema.Object) view {
	v := view{sha256.New()}
	v.add(string(owner.GetUID()), owner.GetNamespace(), owner.GetName())
	return v
}

func (v view) add(parts ...string) {
	for _, p := range parts {
		v.h.Write([]byte(p))
		v.h.Write([]byte{0})
	}
}

// names returns n different names, base and a suffix each, none of them taken.
func (v view) names(base string, n int, taken map[string]bool) []string {
	base = base[:min(len(base), maxBase)]
	seed := v.h.Sum(nil)
	out := make([]string, 0, n)
	mine := make(map[string]bool, n)
	for i := uint64(0); len(out) < n; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(seed, i))
		name := base + encode(binary.BigEndian.Uint64(sum[:]), suffixLength)
		if taken[name] || mine[name] {
			continue
		}
		mine[name] = true
		out = append(out, name)
	}
	return out
}

// encode writes n as length characters of the alphabet.
func encode(n uint64, length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	return string(b)
}
