package allocate_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
)

// asks is a service that asks for an address.
func asks(name, ip string) *corev1.Service {
	svc := registrytest.Service(name)
	svc.Spec.ClusterIP = ip
	return svc
}

const addresses, nodePorts = "/registry/ipaddresses/", "/gantry/nodeports/"

func TestServiceIsGivenAnAddress(t *testing.T) {
	r, etcd := registrytest.New(t)
	it := registrytest.Must(t)(r.Create(registrytest.Context(t), core.Service, registrytest.Service("web"), registry.WriteOptions{}))
	spec := it.Object().(*corev1.Service).Spec
	ip := netip.MustParseAddr(spec.ClusterIP)
	if !netip.MustParsePrefix("10.96.0.0/16").Contains(ip) || ip.As4()[2] == 0 {
		t.Errorf("address %s: want one of the upper band of 10.96.0.0/16", ip)
	}
	if diff := cmp.Diff([]string{spec.ClusterIP}, spec.ClusterIPs); diff != "" {
		t.Error(diff)
	}
	if *spec.IPFamilyPolicy != corev1.IPFamilyPolicySingleStack || !slices.Equal(spec.IPFamilies, []corev1.IPFamily{corev1.IPv4Protocol}) {
		t.Errorf("families %v, policy %v", spec.IPFamilies, *spec.IPFamilyPolicy)
	}
	value, rev := storetest.Value(t, etcd, addresses+spec.ClusterIP)
	var claim networkingv1.IPAddress
	if err := json.Unmarshal([]byte(value), &claim); err != nil || rev != it.Revision {
		t.Fatalf("claim %s at %d, the service at %d: %v", value, rev, it.Revision, err)
	}
	want := &networkingv1.ParentReference{Resource: "services", Namespace: "default", Name: "web"}
	if diff := cmp.Diff(want, claim.Spec.ParentRef); diff != "" || claim.Name != spec.ClusterIP {
		t.Errorf("claim %s\n%s", value, diff)
	}
}

func TestServiceAsksForAnAddress(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	registrytest.Must(t)(r.Create(ctx, core.Service, asks("one", "10.96.0.10"), registry.WriteOptions{}))
	for ip, text := range map[string]string{
		"10.96.0.10":    `spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated`,
		"10.97.0.1":     "failed to allocate IP 10.97.0.1: the provided network does not match the current range",
		"10.96.0.0":     "is not in the valid range",
		"10.96.255.255": "is not in the valid range",
		"10.96.0.1":     "provided IP is already allocated",
	} {
		_, err := r.Create(ctx, core.Service, asks("two", ip), registry.WriteOptions{})
		registrytest.WantError(t, err, registry.Invalid, text)
	}
	registrytest.Must(t)(r.Create(ctx, core.Service, asks("kubernetes", "10.96.0.1"), registry.WriteOptions{}))
	if diff := cmp.Diff([]string{"10.96.0.1", "10.96.0.10"}, storetest.Keys(t, etcd, addresses)); diff != "" {
		t.Error(diff)
	}
}

func TestServicesWithoutAnAddress(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	registrytest.Must(t)(r.Create(ctx, core.Service, asks("headless", "None"), registry.WriteOptions{}))
	manual := asks("manual", "None")
	manual.Spec.Selector = nil
	it := registrytest.Must(t)(r.Create(ctx, core.Service, manual, registry.WriteOptions{}))
	if s := it.Object().(*corev1.Service).Spec; *s.IPFamilyPolicy != corev1.IPFamilyPolicyRequireDualStack || len(s.IPFamilies) != 2 {
		t.Errorf("headless without selector: %s", it.JSON)
	}
	external := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "ext"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}}
	it = registrytest.Must(t)(r.Create(ctx, core.Service, external, registry.WriteOptions{}))
	if s := it.Object().(*corev1.Service).Spec; s.ClusterIP != "" || s.IPFamilyPolicy != nil {
		t.Errorf("external name: %s", it.JSON)
	}
	if got := storetest.Keys(t, etcd, addresses); len(got) != 0 {
		t.Errorf("addresses %v", got)
	}
	dual := registrytest.Service("dual")
	policy := corev1.IPFamilyPolicyRequireDualStack
	dual.Spec.IPFamilyPolicy = &policy
	_, err := r.Create(ctx, core.Service, dual, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services")
}

func TestAddressFollowsTheType(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	registrytest.Must(t)(r.Create(ctx, core.Service, asks("web", "10.96.0.10"), registry.WriteOptions{}))
	changed := asks("web", "10.96.0.11")
	_, err := r.Update(ctx, core.Service, changed, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "may not change once set")
	it := registrytest.Must(t)(r.Update(ctx, core.Service, registrytest.Service("web"), registry.WriteOptions{}))
	if s := it.Object().(*corev1.Service).Spec; s.ClusterIP != "10.96.0.10" {
		t.Errorf("an update without the address changed it: %s", it.JSON)
	}
	external := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}}
	registrytest.Must(t)(r.Update(ctx, core.Service, external, registry.WriteOptions{}))
	if got := storetest.Keys(t, etcd, addresses); len(got) != 0 {
		t.Errorf("addresses after the change to ExternalName: %v", got)
	}
	it = registrytest.Must(t)(r.Update(ctx, core.Service, registrytest.Service("web"), registry.WriteOptions{}))
	if got := storetest.Keys(t, etcd, addresses); len(got) != 1 || got[0] != it.Object().(*corev1.Service).Spec.ClusterIP {
		t.Errorf("addresses after the change back: %v", got)
	}
	if _, gone, err := r.Delete(ctx, core.Service, "default", "web", registry.DeleteOptions{}); err != nil || !gone {
		t.Fatal(err)
	}
	if got := storetest.Keys(t, etcd, addresses); len(got) != 0 {
		t.Errorf("addresses after the deletion: %v", got)
	}
}

func TestSmallRangeIsUsedUp(t *testing.T) {
	etcd := store.NewFake()
	registrytest.Namespace(t, registrytest.On(t, etcd), "default")
	ctx := registrytest.Context(t)
	r := registry.New(registry.Config{
		Store: etcd, Kinds: registrytest.On(t, etcd).Kinds(),
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/27")}, NodePorts: [2]int{30000, 30029},
	})
	var wg sync.WaitGroup
	for i := range 29 { // 30 addresses, the first is reserved
		wg.Go(func() {
			svc := registrytest.Service(fmt.Sprintf("s%d", i))
			svc.Spec.Type = corev1.ServiceTypeNodePort
			if _, err := r.Create(ctx, core.Service, svc, registry.WriteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ips, ports := storetest.Keys(t, etcd, addresses), storetest.Keys(t, etcd, nodePorts); len(ips) != 29 || len(ports) != 29 {
		t.Errorf("%d addresses, %d ports", len(ips), len(ports))
	}
	_, err := r.Create(ctx, core.Service, registrytest.Service("more"), registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Unavailable, "failed to allocate a serviceIP: range is full")
}

func TestNodePorts(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	web := registrytest.Service("web")
	web.Spec.Type = corev1.ServiceTypeNodePort
	web.Spec.Ports = []corev1.ServicePort{
		{Name: "http", Port: 80, NodePort: 30080},
		{Name: "dns", Port: 53}, {Name: "dns-udp", Port: 53, Protocol: corev1.ProtocolUDP},
	}
	it := registrytest.Must(t)(r.Create(ctx, core.Service, web, registry.WriteOptions{}))
	got := it.Object().(*corev1.Service).Spec.Ports
	if got[0].NodePort != 30080 || got[1].NodePort < 30086 || got[1].NodePort > 32767 || got[1].NodePort != got[2].NodePort {
		t.Errorf("ports %+v", got)
	}
	if diff := cmp.Diff([]string{"30080", fmt.Sprint(got[1].NodePort)}, storetest.Keys(t, etcd, nodePorts)); diff != "" {
		t.Error(diff)
	}
	for port, text := range map[int32]string{
		30080: "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
		80:    "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
	} {
		other := registrytest.Service("other")
		other.Spec.Type = corev1.ServiceTypeNodePort
		other.Spec.Ports[0].NodePort = port
		_, err := r.Create(ctx, core.Service, other, registry.WriteOptions{})
		registrytest.WantError(t, err, registry.Invalid, text)
	}
	if ips := storetest.Keys(t, etcd, addresses); len(ips) != 1 {
		t.Errorf("a refused service left its address: %v", ips)
	}
	registrytest.Must(t)(r.Update(ctx, core.Service, registrytest.Service("web"), registry.WriteOptions{})) // ClusterIP again
	if left := storetest.Keys(t, etcd, nodePorts); len(left) != 0 {
		t.Errorf("ports left: %v", left)
	}
}

// A claim that a raw write left behind does not keep its address from other Services.
func TestAbandonedClaimIsTakenOver(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	registrytest.Must(t)(r.Create(ctx, core.Service, asks("gone", "10.96.0.10"), registry.WriteOptions{}))
	if _, err := etcd.Commit(ctx, store.Txn{Deletes: []string{"/registry/services/specs/default/gone"}}); err != nil {
		t.Fatal(err)
	}
	registrytest.Must(t)(r.Create(ctx, core.Service, asks("web", "10.96.0.10"), registry.WriteOptions{}))
	value, _ := storetest.Value(t, etcd, addresses+"10.96.0.10")
	if !strings.Contains(value, `"name":"web"`) {
		t.Errorf("claim %s", value)
	}
}

func TestAnothersClaimIsNotFreed(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	web := registrytest.Must(t)(r.Create(ctx, core.Service, asks("web", "10.96.0.10"), registry.WriteOptions{}))
	value, _ := storetest.Value(t, etcd, "/registry/services/specs/default/web")
	thief := strings.NewReplacer(`"name":"web"`, `"name":"thief"`, web.UID(), "0f8fad5b-d9cb-469f-a165-70867728950e").Replace(value)
	storetest.Put(t, etcd, "/registry/services/specs/default/thief", thief)
	if _, _, err := r.Delete(ctx, core.Service, "default", "thief", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := storetest.Keys(t, etcd, addresses); len(got) != 1 {
		t.Errorf("addresses %v: the thief freed what is web's", got)
	}
}

// Two processes that allocate addresses of a small range conflict all the time: no address is allocated twice.
func TestAddressesAreUniqueUnderLoad(t *testing.T) {
	etcd := embeddedtest.Store(t)
	running := registrytest.On(t, etcd)
	registrytest.Namespace(t, running, "default")
	cfg := registry.Config{Store: etcd, Kinds: running.Kinds(), ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/24")}}
	one, two := registry.New(cfg), registry.New(cfg)
	ctx := registrytest.Context(t)
	var mu sync.Mutex
	seen := map[string]string{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("s%d-%d", w, i)
				it, err := []*registry.Registry{one, two}[w%2].Create(ctx, core.Service, registrytest.Service(name), registry.WriteOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				ip := it.Object().(*corev1.Service).Spec.ClusterIP
				mu.Lock()
				if other := seen[ip]; other != "" {
					t.Errorf("%s and %s have %s", other, name, ip)
				}
				seen[ip] = name
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}
