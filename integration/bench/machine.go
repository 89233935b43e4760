package main

import (
	"os"
	"slices"

	"gantry/integration/netns"
)

// inNamespace is the environment variable of the process that runs in its own network namespace.
const inNamespace = "GANTRY_BENCH_NETNS"

// nodeIP is the address in the network namespace: that of the node.
const nodeIP = netns.NodeIP

// isolate runs this program again in a network namespace of its own where a row starts pods, so that the node's bridge, links and
// nftables are not the machine's; done: that process has ended. The Docker Engine's socket is a path, which the namespace does not change.
func isolate(picked []*row) (done bool, err error) {
	if !slices.ContainsFunc(picked, func(r *row) bool { return r.node }) {
		return false, nil
	}
	if os.Getenv(inNamespace) != "" {
		return false, netns.SetUp()
	}
	if code := netns.Run(inNamespace); code != 0 {
		os.Exit(code) // it has logged the error
	}
	return true, nil
}
