// Package integration tests the whole: the import rules, and clusters of real processes with a real etcd, a
// real Docker Engine and real nftables in network namespaces of their own.
package integration
