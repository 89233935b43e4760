// Package arch holds tests of the tree itself: which package may import which, which modules each agent is built from, and how many
// files a folder holds. It has no other code.
package arch
