package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
)

// inNamespace is the environment variable of the process that runs in its own network namespace.
const inNamespace = "GANTRY_BENCH_NETNS"

// nodeIP is the address in the network namespace: that of the node.
const nodeIP = "192.168.77.10"

// isolate runs this program again in a network namespace of its own where a row starts pods, so that the node's bridge, links and
// nftables are not the machine's; done: that process has ended. The Docker Engine's socket is a path, which the namespace does not change.
func isolate(picked []*row) (done bool, err error) {
	if !slices.ContainsFunc(picked, func(r *row) bool { return r.node }) {
		return false, nil
	}
	if os.Getenv(inNamespace) != "" {
		return false, setUpNetwork()
	}
	me, err := os.Executable()
	if err != nil {
		return false, err
	}
	cmd := exec.Command(me, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		os.Exit(exit.ExitCode()) // it has logged the error
	}
	if err != nil {
		err = fmt.Errorf("making a network namespace (are you root?): %w", err)
	}
	return true, err
}

// setUpNetwork gives the namespace loopback and an interface with an address and a default route.
func setUpNetwork() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	eth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0-peer"} // nothing is attached to the peer
	addr, err := netlink.ParseAddr(nodeIP + "/24")
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.LinkSetUp(lo), netlink.LinkAdd(eth)); err != nil {
		return err
	}
	peer, err := netlink.LinkByName("eth0-peer")
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.AddrAdd(eth, addr), netlink.LinkSetUp(eth), netlink.LinkSetUp(peer)); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Index, Gw: net.IPv4(192, 168, 77, 1)})
}
