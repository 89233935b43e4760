package up

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/docker/docker/client"
	"github.com/google/nftables"
)

// preflight returns every reason why the agents of c could not work on this machine, each with its fix.
func preflight(ctx context.Context, c Config) error {
	var faults []error
	for _, l := range c.listeners() {
		if err := free(l.addr); err != nil {
			faults = append(faults, fmt.Errorf("the %s cannot listen: %w: %s", l.what, err, l.fix))
		}
	}
	if c.isNode() {
		faults = append(faults, root())
	}
	if c.runs("kubelet") {
		faults = append(faults, engine(ctx, c.DockerHost))
	}
	if c.runs("proxy") || c.runs("network") {
		faults = append(faults, packetFilter())
	}
	return errors.Join(faults...)
}

type listener struct{ what, addr, fix string }

// proxyHealthz is where load balancers ask a node's proxy; kube-proxy's port.
const proxyHealthz = ":10256"

func (c Config) listeners() []listener {
	const another = "end who does, or pass another "
	var all []listener
	if c.runs("gateway") {
		all = append(all, listener{"gateway", net.JoinHostPort(c.BindAddress, strconv.Itoa(c.SecurePort)), another + "--secure-port"})
	}
	if c.embedsEtcd() {
		all = append(all, listener{"embedded etcd", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.EtcdPort)), another + "--etcd-port"})
	}
	if c.runs("kubelet") {
		all = append(all, listener{"kubelet", net.JoinHostPort("", strconv.Itoa(c.KubeletPort)), another + "--kubelet-port"})
	}
	if c.runs("proxy") {
		all = append(all, listener{"proxy's health endpoint", proxyHealthz, "end who does (another kube-proxy or gantry?)"})
	}
	if c.HealthzAddress != "" {
		all = append(all, listener{"health endpoint", c.HealthzAddress, another + "--healthz-bind-address"})
	}
	return all
}

func free(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}

func root() error {
	if os.Geteuid() != 0 {
		return errors.New("a node's agents need root for containers' networks and nftables: run gantry as root, or without --agents network,proxy,kubelet")
	}
	return nil
}

// minDockerAPI is Engine 20.10's.
const minDockerAPI = "1.41"

func engine(ctx context.Context, host string) error {
	const fix = "install or start Docker Engine 20.10 or newer (Debian, Ubuntu: apt-get install docker.io), or pass --docker-host"
	d, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return fmt.Errorf("--docker-host %s: %w", host, err)
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	v, err := d.ServerVersion(ctx)
	if err != nil {
		return fmt.Errorf("no Docker Engine answers on %s (%w): %s", host, err, fix)
	}
	if older(v.APIVersion, minDockerAPI) {
		return fmt.Errorf("the Docker Engine on %s is too old (%s, API %s; API %s is needed): %s", host, v.Version, v.APIVersion, minDockerAPI, fix)
	}
	return nil
}

// older compares API versions such as "1.9" and "1.41".
func older(a, b string) bool {
	var a1, a2, b1, b2 int
	if n, _ := fmt.Sscanf(a+" "+b, "%d.%d %d.%d", &a1, &a2, &b1, &b2); n != 4 {
		return false // let the engine itself refuse
	}
	return a1 < b1 || a1 == b1 && a2 < b2
}

func packetFilter() error {
	conn, err := nftables.New()
	if err == nil {
		_, err = conn.ListTableOfFamily("gantry", nftables.TableFamilyIPv4)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the kernel's nf_tables does not answer (%w): run as root on a kernel of 5.13 or newer with CONFIG_NF_TABLES (modprobe nf_tables)", err)
	}
	return nil
}

// nodeAddress is the address of the interface that the default route uses, else the first that is no loopback's.
func nodeAddress() (netip.Addr, error) {
	// Nothing is sent: connecting a UDP socket only asks the kernel for the route. 192.0.2.0/24 is RFC 5737's.
	if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer conn.Close()
		return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("finding this machine's address: %w", err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, errors.New("this machine has no IPv4 address but loopback's: pass --node-ip")
}
