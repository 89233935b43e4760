package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema/coordination"
)

// The leases by which gateways know of each other.
const (
	leaseNamespace = "kube-system"
	leaseLabel     = "apiserver.kubernetes.io/identity"
	leaseValue     = "gantry-gateway"
	leaseLife      = 15 * time.Second
	leaseRenew     = leaseLife / 3
)

// The pause after a failed try. A new cluster's first pods find the API by the Service kubernetes in their environment: it is
// there as soon as its namespace is.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// publisher keeps the Service kubernetes leading to every gateway that lives: each keeps a Lease, whose holder is
// its address, and each sees to it that Endpoints and EndpointSlices name the holders of live leases and no others.
type publisher struct {
	reg    *registry.Registry
	self   netip.AddrPort
	prefix netip.Prefix
	ca     []byte
	log    *slog.Logger
	seen   map[string]sighting // by lease name
}

// sighting is when a lease was last seen to change, by this machine's clock: others' clocks are not believed.
type sighting struct {
	renewed time.Time
	at      time.Time
}

func newPublisher(cfg Config) *publisher {
	return &publisher{
		reg: cfg.Registry, self: netip.AddrPortFrom(cfg.AdvertiseAddress, uint16(cfg.SecurePort)), prefix: cfg.ServiceCIDR,
		ca: cfg.ClusterCA, log: cfg.Log, seen: map[string]sighting{},
	}
}

// run publishes until ctx is done, and then takes this gateway out where another one is left.
func (p *publisher) run(ctx context.Context) error {
	wait := time.NewTimer(0)
	defer wait.Stop()
	failed, pause := false, firstRetry
	for {
		select {
		case <-ctx.Done():
			p.leave(context.WithoutCancel(ctx))
			return nil
		case <-wait.C:
		}
		err := p.publish(ctx, time.Now())
		switch {
		case ctx.Err() != nil:
		case err != nil && !failed && !errors.Is(err, registry.NotFound): // its namespaces are made by the controllers
			p.log.Warn("gateway not published", "err", err)
			failed = true
		case err == nil && failed:
			p.log.Info("gateway published again")
			failed = false
		}
		if err != nil {
			wait.Reset(pause)
			pause = min(2*pause, lastRetry)
			continue
		}
		pause = firstRetry
		wait.Reset(leaseRenew)
	}
}

// publish renews this gateway's lease and brings what leads to the gateways up to date.
func (p *publisher) publish(ctx context.Context, now time.Time) error {
	if err := p.service(ctx); err != nil {
		return err
	}
	if err := p.renew(ctx, now); err != nil {
		return err
	}
	live, err := p.live(ctx, now)
	if err != nil {
		return err
	}
	if err := p.endpoints(ctx, live); err != nil {
		return err
	}
	return p.authentication(ctx)
}

// leave drops this gateway's lease and endpoint. The last gateway stays named: whoever asks while it restarts waits for
// it instead of being told that nothing is there.
func (p *publisher) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	live, err := p.live(ctx, time.Now())
	if err != nil {
		return
	}
	others := slices.DeleteFunc(live, func(a netip.AddrPort) bool { return a == p.self })
	if len(others) == 0 {
		return
	}
	_, _, err = p.reg.Delete(ctx, coordination.Lease, leaseNamespace, p.lease(), registry.DeleteOptions{})
	if err == nil {
		err = p.endpoints(ctx, others)
	}
	if err != nil {
		p.log.Warn("gateway not withdrawn", "err", err)
	}
}

// lease is the name of this gateway's lease.
func (p *publisher) lease() string { return leaseName(p.self) }

func leaseName(a netip.AddrPort) string {
	return fmt.Sprintf("gantry-gateway-%s-%d", hyphenated(a.Addr()), a.Port())
}

// hyphenated is an address in the form that names of objects may have.
func hyphenated(a netip.Addr) string {
	b := []byte(a.WithZone("").StringExpanded())
	for i, c := range b {
		if c == '.' || c == ':' {
			b[i] = '-'
		}
	}
	return string(b)
}

// renew keeps this gateway's lease.
func (p *publisher) renew(ctx context.Context, now time.Time) error {
	leases := registry.For[*coordinationv1.Lease](p.reg)
	life, holder, renewed := int32(leaseLife/time.Second), p.self.String(), metav1.NewMicroTime(now)
	fill := func(l *coordinationv1.Lease) {
		l.Labels = merged(l.Labels, map[string]string{leaseLabel: leaseValue})
		l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &holder, &life, &renewed
	}
	_, err := leases.Modify(ctx, leaseNamespace, p.lease(), func(l *coordinationv1.Lease) error {
		fill(l)
		return nil
	})
	if !errors.Is(err, registry.NotFound) {
		return wrap("renewing the lease of this gateway", err)
	}
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: leaseNamespace, Name: p.lease()}}
	fill(l)
	l.Spec.AcquireTime = &renewed
	_, err = leases.Create(ctx, l)
	return wrap("making the lease of this gateway", err)
}

// live are the addresses of the gateways whose leases are renewed, in order; leases that have not been for a while are
// deleted.
func (p *publisher) live(ctx context.Context, now time.Time) ([]netip.AddrPort, error) {
	list, err := p.reg.List(ctx, coordination.Lease, leaseNamespace, registry.ListOptions{Labels: leaseLabel + "=" + leaseValue})
	if err != nil {
		return nil, wrap("listing the leases of gateways", err)
	}
	live := []netip.AddrPort{p.self}
	present := map[string]bool{}
	for _, item := range list.Items {
		l := item.Object().(*coordinationv1.Lease)
		present[l.Name] = true
		address, ok := holderOf(l)
		if !ok || address == p.self || l.Name != leaseName(address) {
			continue
		}
		s, known := p.seen[l.Name]
		if !known || !s.renewed.Equal(l.Spec.RenewTime.Time) {
			s = sighting{l.Spec.RenewTime.Time, now}
			p.seen[l.Name] = s
		}
		if now.Sub(s.at) <= leaseLife {
			live = append(live, address)
			continue
		}
		p.log.Info("gateway expired", "name", l.Name)
		o := registry.DeleteOptions{UID: string(l.UID), ResourceVersion: l.ResourceVersion}
		if _, _, err := p.reg.Delete(ctx, coordination.Lease, leaseNamespace, l.Name, o); err != nil && !errors.Is(err, registry.NotFound) && !errors.Is(err, registry.Conflict) {
			return nil, wrap("deleting the lease of a dead gateway", err)
		}
	}
	maps.DeleteFunc(p.seen, func(name string, _ sighting) bool { return !present[name] })
	slices.SortFunc(live, netip.AddrPort.Compare)
	return live, nil
}

func holderOf(l *coordinationv1.Lease) (netip.AddrPort, bool) {
	if l.Spec.HolderIdentity == nil || l.Spec.RenewTime == nil {
		return netip.AddrPort{}, false
	}
	a, err := netip.ParseAddrPort(*l.Spec.HolderIdentity)
	return a, err == nil && a.Port() != 0
}

// service makes the Service kubernetes under the first address of the range, or puts its port right.
func (p *publisher) service(ctx context.Context) error {
	services := registry.For[*corev1.Service](p.reg)
	port := int32(p.self.Port())
	old, err := services.Cached(ctx, metav1.NamespaceDefault, serviceName)
	switch {
	case errors.Is(err, registry.NotFound):
		_, err = services.Create(ctx, apiService(p.prefix.Masked().Addr().Next(), port))
		if errors.Is(err, registry.Exists) {
			return nil
		}
		return wrap("making the Service kubernetes", err)
	case err != nil:
		return wrap("reading the Service kubernetes", err)
	case len(old.Spec.Ports) == 1 && old.Spec.Ports[0].Port == 443 && old.Spec.Ports[0].Name == portName:
		return nil
	}
	_, err = services.Modify(ctx, metav1.NamespaceDefault, serviceName, func(s *corev1.Service) error {
		s.Spec.Ports = apiService(netip.Addr{}, port).Spec.Ports
		return nil
	})
	return wrap("putting the Service kubernetes right", err)
}

// authentication publishes the CA of client certificates, for extension servers.
func (p *publisher) authentication(ctx context.Context) error {
	if len(p.ca) == 0 {
		return nil
	}
	const name, key = "extension-apiserver-authentication", "client-ca-file"
	all := registry.For[*corev1.ConfigMap](p.reg)
	old, err := all.Cached(ctx, leaseNamespace, name)
	switch {
	case errors.Is(err, registry.NotFound):
		_, err = all.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: leaseNamespace, Name: name}, Data: map[string]string{key: string(p.ca)},
		})
		if errors.Is(err, registry.Exists) {
			return nil
		}
	case err == nil && old.Data[key] != string(p.ca):
		_, err = all.Modify(ctx, leaseNamespace, name, func(m *corev1.ConfigMap) error {
			m.Data = merged(m.Data, map[string]string{key: string(p.ca)})
			return nil
		})
	}
	return wrap("publishing the CA of clients", err)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// merged sets from's entries in into, which it makes where it is nil.
func merged(into, from map[string]string) map[string]string {
	if into == nil && len(from) > 0 {
		into = map[string]string{}
	}
	maps.Copy(into, from)
	return into
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }
