package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"

	"gantry/agents/admin/trace"
	"gantry/agents/dns"
	"gantry/agents/internal/resolvconf"
	"gantry/agents/kubelet/engine"
	"gantry/agents/proxy"
	"gantry/agents/up"
)

// machine is what this machine has now, for gantry trace.
type machine struct{ node, engine string }

// openMachine returns the machine whose gantry has a data directory.
func openMachine(dataDir string) trace.Machine {
	node, host := up.ThisNode(dataDir)
	return machine{node, host}
}

func (m machine) NodeName() string { return m.node }

func (machine) Addresses() (all []netip.Addr) {
	found, _ := net.InterfaceAddrs() // without any, the machine is a node by its name only
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p.Addr())
		}
	}
	return all
}

func (machine) Searches() []string { return resolvconf.Host().Searches }

func (machine) Ask(ctx context.Context, server netip.Addr, name, recordType string) (*trace.Answer, error) {
	const port = 53
	have, err := dns.Ask(ctx, netip.AddrPortFrom(server, port), name, recordType)
	if err != nil {
		return nil, err
	}
	a := &trace.Answer{Code: have.Code}
	for _, r := range have.Records {
		a.Records = append(a.Records, trace.Record{Name: r.Name, Type: r.Type, Data: r.Data})
	}
	return a, nil
}

func (machine) Route(to netip.AddrPort, protocol string) (*trace.Route, error) {
	r, err := proxy.LookUp(to, protocol)
	if err != nil {
		return nil, absentIf(err, proxy.ErrNoTable)
	}
	route := trace.Route(*r)
	return &route, nil
}

func (machine) Flows(to netip.AddrPort, protocol string) (all []trace.Flow, err error) {
	flows, err := proxy.Flows(to, protocol)
	for _, f := range flows {
		all = append(all, trace.Flow(f))
	}
	return all, err
}

func (m machine) Container(ctx context.Context, id string) (*trace.Container, error) {
	s, err := engine.ReadState(ctx, m.engine, id)
	if err != nil {
		return nil, absentIf(err, engine.ErrNotFound)
	}
	c := trace.Container(*s)
	return &c, nil
}

func (machine) Listeners(pid int, protocol string) (all []netip.AddrPort, err error) {
	for _, version := range []string{"", "6"} {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/net/" + protocol + version)
		if err != nil && (version == "" || !errors.Is(err, fs.ErrNotExist)) { // without IPv6 there is no second file
			return nil, absentIf(err, fs.ErrNotExist)
		}
		all = append(all, trace.ParseSockets(string(text), protocol)...)
	}
	return all, nil
}

// absentIf makes trace.ErrAbsent of an error that says so.
func absentIf(err, absent error) error {
	if errors.Is(err, absent) {
		return trace.ErrAbsent
	}
	return err
}
