//go:build race

package decode_test

// The race detector takes up to ten times the memory, as pools are emptied at random, and the time.
const (
	slower      = 10
	largestBomb = 300 << 10 // bytes
)
