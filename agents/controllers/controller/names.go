package controller

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
	// MaxNameBase leaves room for the suffix in a name of 63 characters.
	MaxNameBase = 63 - suffixLength
)

// NameSeed collects what a name derives from.
type NameSeed struct{ h hash.Hash }

func NewNameSeed(owner schema.Object) NameSeed {
	v := NameSeed{sha256.New()}
	v.Add(string(owner.GetUID()), owner.GetNamespace(), owner.GetName())
	return v
}

func (v NameSeed) Add(parts ...string) {
	for _, p := range parts {
		v.h.Write([]byte(p))
		v.h.Write([]byte{0})
	}
}

// Names returns n different names, base and a suffix each, none of them taken.
func (v NameSeed) Names(base string, n int, taken map[string]bool) []string {
	base = base[:min(len(base), MaxNameBase)]
	seed := v.h.Sum(nil)
	out := make([]string, 0, n)
	mine := make(map[string]bool, n)
	for i := uint64(0); len(out) < n; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(seed, i))
		name := base + SafeEncode(binary.BigEndian.Uint64(sum[:]), suffixLength)
		if taken[name] || mine[name] {
			continue
		}
		mine[name] = true
		out = append(out, name)
	}
	return out
}

// SafeEncode writes n as length characters of the alphabet.
func SafeEncode(n uint64, length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	return string(b)
}
