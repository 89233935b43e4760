package trace

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// ErrAbsent: the machine does not have what was asked for: no table, no container, no process.
var ErrAbsent = errors.New("absent")

// Machine is what the machine that the command runs on has now. Its methods read only.
type Machine interface {
	// NodeName is the name that the machine has, or would have, as a node.
	NodeName() string
	// Addresses are those of its interfaces.
	Addresses() []netip.Addr
	// Searches are the domains of its resolv.conf, which follow the cluster's in that of a pod.
	Searches() []string
	// Ask asks a name server; recordType is "A", "SRV", ... The error is that there was no answer.
	Ask(ctx context.Context, server netip.Addr, name, recordType string) (*Answer, error)
	// Route reads what the kernel does with new connections to an address and port; protocol is "tcp" or "udp". ErrAbsent: there is no
	// table of the proxy.
	Route(to netip.AddrPort, protocol string) (*Route, error)
	// Flows are the connections to an address and port that conntrack has.
	Flows(to netip.AddrPort, protocol string) ([]Flow, error)
	// Container is the engine's state of a container; ErrAbsent where it has none of that ID.
	Container(ctx context.Context, id string) (*Container, error)
	// Listeners are where sockets listen in the network namespace of a process. ErrAbsent: there is no such process.
	Listeners(pid int, protocol string) ([]netip.AddrPort, error)
}

// Answer is a name server's.
type Answer struct {
	Code    string // "NOERROR", "NXDOMAIN", "SERVFAIL", ...
	Records []Record
}

// Record is a resource record, names without their last dot.
type Record struct{ Name, Type, Data string }

// Route is what the proxy's table has for an address and port.
type Route struct {
	// Chain chooses one of Slots. "": there is no element in the map services.
	Chain string
	// Slots are the endpoints by number; an invalid one has no element in the map slots.
	Slots []netip.AddrPort
	// Unserved is the chain of a destination without endpoints: "refuse" or "ignore". "": none.
	Unserved string
	// ClusterIP: the address is in the set cluster-ips, so other ports of it are refused.
	ClusterIP bool
	// Restricted: packets of clients outside of Sources, intervals [first, last], are dropped.
	Restricted bool
	Sources    [][2]netip.Addr
}

// Flow is a connection. Endpoint is who answers: the destination itself where nothing was translated. State is that of a TCP connection.
type Flow struct {
	Client, Endpoint netip.AddrPort
	State            string
}

// Container is the engine's state of a container.
type Container struct {
	Status            string // "running", "paused", "exited", ...
	PID               int    // 0 unless running
	Started, Finished time.Time
	ExitCode          int
	Error             string // why it could not be started
}

// Where a line was read on the machine.
const (
	fromConntrack = "conntrack"
	fromEngine    = "docker"
)

// fromTable is the proxy's table that has an address.
func fromTable(a netip.Addr) string {
	if a.Is4() {
		return "nft table ip gantry"
	}
	return "nft table ip6 gantry"
}

func fromDNS(server netip.Addr) string { return "DNS " + server.String() }
