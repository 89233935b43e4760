// Package cluster starts a gantry for tests of its clients, in a network namespace of the tests' own: a control plane with a node
// that only pretends to run pods, or a whole cluster with containers.
package cluster
