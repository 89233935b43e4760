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

// inNamespace marks the process that runs in a network namespace of its own.
const inNamespace = "GANTRY_BENCH_NETNS"

// nodeIP is the address of the machine that the network namespace stands for.
const nodeIP = "192.168.77.10"

// isolate runs this program again in a network namespace of its own where a row starts pods, so that the node's bridge, links and
// nftables are not the machine's; done tells that it has. The Docker Engine is reached by its socket's path all the same.
func isolate(picked []*row) (done bool, err error) {
	if !slices.ContainsFunc(picked, func(r *row) bool { return r.node }) {
		return false, nil
	}
	if os.Getenv(inNamespace) != "" {
		return false, machine()
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
		os.Exit(exit.ExitCode()) // it has said why
	}
	if err != nil {
		err = fmt.Errorf("making a network namespace (are you root?): %w", err)
	}
	return true, err
}

// machine gives the namespace what a machine has: loopback and an interface with an address and a default route.
func machine() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	eth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "wire"} // nobody is at the wire's other end
	addr, err := netlink.ParseAddr(nodeIP + "/24")
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.LinkSetUp(lo), netlink.LinkAdd(eth)); err != nil {
		return err
	}
	wire, err := netlink.LinkByName("wire")
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.AddrAdd(eth, addr), netlink.LinkSetUp(eth), netlink.LinkSetUp(wire)); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Index, Gw: net.IPv4(192, 168, 77, 1)})
}
