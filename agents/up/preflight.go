package up

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/google/nftables"

	"gantry/agents/kubelet/engine"
)

// preflight returns every reason why the agents of c cannot work on this machine, each with its fix.
func preflight(ctx context.Context, c Config) error {
	var faults []error
	for _, l := range c.listeners() {
		if err := checkPortFree(l.addr); err != nil {
			faults = append(faults, fmt.Errorf("the %s cannot listen: %w: %s", l.what, err, l.fix))
		}
	}
	if c.isNode() {
		faults = append(faults, checkRoot())
	}
	if c.runs("kubelet") {
		faults = append(faults, checkEngine(ctx, c.DockerHost))
	}
	if c.runs("proxy") || c.runs("network") {
		faults = append(faults, checkNftables())
	}
	return errors.Join(faults...)
}

type listener struct{ what, addr, fix string }

// proxyHealthz is the address of the proxy's health check for load balancers; kube-proxy's port.
const proxyHealthz = ":10256"

// dnsMetrics is the address of the name server's metrics; CoreDNS' port.
const dnsMetrics = ":9153"

func (c Config) listeners() []listener {
	const another = "end the process that listens there, or pass another "
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
		all = append(all, listener{"proxy's health endpoint", proxyHealthz, "end the process that listens there (another kube-proxy or gantry?)"})
	}
	if c.runs("dns") {
		all = append(all, listener{"name server's metrics", dnsMetrics, "end the process that listens there (CoreDNS on the host, or another gantry?)"})
	}
	if c.HealthzAddress != "" {
		all = append(all, listener{"health endpoint", c.HealthzAddress, another + "--healthz-bind-address"})
	}
	return all
}

func checkPortFree(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}

func checkRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("a node's agents need root for containers' networks and nftables: run gantry as root, or without --agents network,proxy,dns,kubelet")
	}
	return nil
}

func checkEngine(ctx context.Context, host string) error {
	const fix = "install or start Docker Engine 20.10 or newer (Debian, Ubuntu: apt-get install docker.io), or pass --docker-host"
	d, err := engine.Open(host)
	if err != nil {
		return fmt.Errorf("--docker-host %s: %w", host, err)
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := engine.New(d, engine.Config{}).Check(ctx); err != nil {
		return fmt.Errorf("no usable Docker Engine on %s (%w): %s", host, err, fix)
	}
	return nil
}

func checkNftables() error {
	conn, err := nftables.New()
	if err == nil {
		_, err = conn.ListTableOfFamily("gantry", nftables.TableFamilyIPv4)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the kernel's nf_tables does not answer (%w): run as root on a kernel of 5.13 or newer with CONFIG_NF_TABLES (modprobe nf_tables)", err)
	}
	return nil
}
