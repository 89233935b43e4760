// Package netns runs a program in a network namespace of its own, so that the ports, links and packet filters of the node that it starts are
// not the machine's. It needs root. The Docker Engine's socket is a path, which the namespace does not change.
package netns

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"

	"github.com/vishvananda/netlink"
)

// NodeIP is the address that SetUp gives the namespace.
const NodeIP = "192.168.77.10"

// Run runs this program again in a new network namespace, with variable set in its environment, and returns its exit code.
func Run(variable string) int {
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "finding this program:", err)
		return 1
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		return exit.ExitCode()
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "making a network namespace (are you root?):", err)
		return 1
	}
	return 0
}

// SetUp gives the namespace loopback and an interface with NodeIP and a default route. Nothing is attached to the interface's peer.
func SetUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(NodeIP + "/24")
	if err != nil {
		return err
	}
	eth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0-peer"}
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
