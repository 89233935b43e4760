package controller

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"gantry/schema"
)

// alphabet has no vowels and no look-alikes, as generated names of Kubernetes.
const alphabet = "bcdfghjklmnpqrstvwxz2456789"

const (
	suffixLength = 5
	// maxPrefix leaves room for the dash and the suffix in a name of 63 characters.
	maxPrefix = 63 - suffixLength - 1
)

// NameSeed collects what the names of created objects derive from: their owner, and what was seen when they were planned. The same
// state plans the same names, so that a second creation from a stale cache collides instead of making a duplicate.
type NameSeed struct{ h hash.Hash }

// NewNameSeed is the seed of the objects that owner owns.
func NewNameSeed(owner schema.Object) NameSeed {
	s := NameSeed{sha256.New()}
	s.Add(string(owner.GetUID()), owner.GetNamespace(), owner.GetName())
	return s
}

// Add makes the names depend on parts.
func (s NameSeed) Add(parts ...string) {
	for _, p := range parts {
		s.h.Write([]byte(p))
		s.h.Write([]byte{0})
	}
}

// Names returns n different names, none of them taken: prefix (cut where the name would be too long), a dash and a suffix each.
func (s NameSeed) Names(prefix string, n int, taken map[string]bool) []string {
	prefix = prefix[:min(len(prefix), maxPrefix)] + "-"
	seed := s.h.Sum(nil)
	out := make([]string, 0, n)
	planned := make(map[string]bool, n)
	for i := uint64(0); len(out) < n; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(seed, i))
		name := prefix + SafeEncode(binary.BigEndian.Uint64(sum[:]), suffixLength)
		if taken[name] || planned[name] {
			continue
		}
		planned[name] = true
		out = append(out, name)
	}
	return out
}

// SafeEncode writes n as length characters that names of objects may have.
func SafeEncode(n uint64, length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	return string(b)
}
