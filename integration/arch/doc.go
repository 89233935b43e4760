// Package arch has tests of the source tree: which package may import which, which modules each agent is built from, how many files a
// package has, and patterns that no file may contain. It has no other code.
package arch
