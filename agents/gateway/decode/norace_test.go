//go:build !race

package decode_test

// What bombs may cost more, and how large they are, where no race detector is.
const (
	slower      = 1
	largestBomb = 3<<20 - 1<<10 // bytes
)
