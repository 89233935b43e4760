// Package integration tests clusters of real processes, with a real etcd, the machine's Docker Engine, and nftables in a network
// namespace of the tests.
package integration
