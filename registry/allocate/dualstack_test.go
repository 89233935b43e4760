package allocate_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/allocate"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

const (
	ipv4, ipv6                = corev1.IPv4Protocol, corev1.IPv6Protocol
	single, prefer, require   = corev1.IPFamilyPolicySingleStack, corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack
	none                      = corev1.ClusterIPNone
	invalid                   = "Invalid value: "
	policyPath, familiesPath  = "spec.ipFamilyPolicy: ", "spec.ipFamilies"
	notDual, releaseIP        = "this cluster is not configured for dual-stack services", "must be 'SingleStack' to release the secondary cluster IP"
	releaseFamily, moreIPs    = "must be 'SingleStack' to release the secondary IP family", "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"
	moreFamilies, unsupported = "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified", "not configured on this cluster"
)

// ipService is what a Service says of its addresses. policy "" is none.
type ipService struct {
	policy   corev1.IPFamilyPolicy
	families []corev1.IPFamily
	ips      []string
	manual   bool // no selector
	external bool
}

func (s ipService) service(name string) *corev1.Service {
	svc := registrytest.Service(name)
	svc.Spec.IPFamilies = slices.Clone(s.families)
	if s.policy != "" {
		svc.Spec.IPFamilyPolicy = &s.policy
	}
	if len(s.ips) > 0 {
		svc.Spec.ClusterIP, svc.Spec.ClusterIPs = s.ips[0], slices.Clone(s.ips)
	}
	svc.Spec.Selector = map[string]string{"app": name}
	if s.manual {
		svc.Spec.Selector = nil
	}
	if s.external {
		svc.Spec.Type, svc.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.com"
	}
	return svc
}

// summary is "policy families", or the errors.
func summary(svc *corev1.Service, errs []string) string {
	if len(errs) > 0 {
		return strings.Join(errs, "; ")
	}
	out := "-"
	if svc.Spec.IPFamilyPolicy != nil {
		out = string(*svc.Spec.IPFamilyPolicy)
	}
	for _, f := range svc.Spec.IPFamilies {
		out += " " + string(f)
	}
	return out
}

// The expectations are Kubernetes' (pkg/registry/core/service/storage, TestCreateInitIPFields).
func TestFamiliesOfNewServices(t *testing.T) {
	four, six := []corev1.IPFamily{ipv4}, []corev1.IPFamily{ipv6}
	both, reverse := []corev1.IPFamily{ipv4, ipv6}, []corev1.IPFamily{ipv6, ipv4}
	for _, tt := range []struct {
		name     string
		families []corev1.IPFamily // of the cluster
		in       ipService
		want     string
	}{
		{"nothing said", four, ipService{}, "SingleStack IPv4"},
		{"nothing said, IPv6 first", reverse, ipService{}, "SingleStack IPv6"},
		{"nothing said, IPv6 alone", six, ipService{}, "SingleStack IPv6"},
		{"prefers, of one", four, ipService{policy: prefer}, "PreferDualStack IPv4"},
		{"prefers, of two", both, ipService{policy: prefer}, "PreferDualStack IPv4 IPv6"},
		{"prefers, IPv6 first", both, ipService{policy: prefer, families: six}, "PreferDualStack IPv6 IPv4"},
		{"requires, of one", four, ipService{policy: require}, policyPath + invalid + `"RequireDualStack": ` + notDual},
		{"requires, of two", reverse, ipService{policy: require}, "RequireDualStack IPv6 IPv4"},
		{"requires, by its address", both, ipService{policy: require, ips: []string{"fd00:96::7"}}, "RequireDualStack IPv6 IPv4"},
		{"the second family alone", both, ipService{families: six}, "SingleStack IPv6"},
		{"a family there is not", four, ipService{families: six}, familiesPath + "[0]: " + invalid + `"IPv6": ` + unsupported},
		{"an address of a family there is not", four, ipService{ips: []string{"fd00::1"}}, "spec.clusterIPs[0]: " + invalid + `["fd00::1"]: IPv6 is not configured on this cluster`},
		{"two addresses without a policy", both, ipService{ips: []string{"10.96.0.7", "fd00:96::7"}}, policyPath + invalid + `"SingleStack": ` + moreIPs},
		{"two families without a policy", both, ipService{families: both}, policyPath + invalid + `"SingleStack": ` + moreFamilies},
		{"two of one family", both, ipService{policy: prefer, families: []corev1.IPFamily{ipv4, ipv4}}, familiesPath + `[1]: Duplicate value: "IPv4"`},
		{"an address of the other family", both, ipService{policy: prefer, families: both, ips: []string{"fd00:96::7"}},
			"spec.clusterIPs[0]: " + invalid + "\"fd00:96::7\": expected an IPv4 value as indicated by `ipFamilies[0]`"},
		{"headless", both, ipService{ips: []string{none}}, "SingleStack IPv4"},
		{"headless, prefers", reverse, ipService{ips: []string{none}, policy: prefer}, "PreferDualStack IPv6 IPv4"},
		{"headless, requires of one", four, ipService{ips: []string{none}, policy: require}, policyPath + invalid + `"RequireDualStack": ` + notDual},
		{"headless without selector, of one", four, ipService{ips: []string{none}, manual: true}, "RequireDualStack IPv4 IPv6"},
		{"headless without selector, IPv6 first", reverse, ipService{ips: []string{none}, manual: true}, "RequireDualStack IPv6 IPv4"},
		{"headless without selector, single", four, ipService{ips: []string{none}, manual: true, policy: single, families: six}, "SingleStack IPv6"},
		{"an external name", both, ipService{external: true}, "-"},
	} {
		svc := tt.in.service("web")
		var errs []string
		for _, err := range allocate.FillFamilies(svc, nil, tt.families) {
			errs = append(errs, err.Error())
		}
		if got := summary(svc, errs); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// dualRegistry is a registry with ranges of both families.
func dualRegistry(t *testing.T, cidrs ...string) (*registry.Registry, *store.Fake) {
	var all []netip.Prefix
	for _, text := range cidrs {
		all = append(all, netip.MustParsePrefix(text))
	}
	etcd := store.NewFake()
	r := registrytest.Run(t, registry.Config{Store: etcd, Kinds: kinds.New(), Agent: "test", ServiceCIDRs: all})
	registrytest.Namespace(t, r, "default")
	return r, etcd
}

func TestDualStackServiceHasAnAddressOfEachFamily(t *testing.T) {
	r, etcd := dualRegistry(t, "10.96.0.0/16", "fd00:96::/112")
	ctx := registrytest.Context(t)
	it := registrytest.Must(t)(r.Create(ctx, core.Service, ipService{policy: require, families: []corev1.IPFamily{ipv6}}.service("web"), registry.WriteOptions{}))
	spec := it.Object().(*corev1.Service).Spec
	if len(spec.ClusterIPs) != 2 || spec.ClusterIP != spec.ClusterIPs[0] || !netip.MustParsePrefix("fd00:96::/112").Contains(netip.MustParseAddr(spec.ClusterIPs[0])) ||
		!netip.MustParsePrefix("10.96.0.0/16").Contains(netip.MustParseAddr(spec.ClusterIPs[1])) {
		t.Errorf("addresses %v, %v", spec.ClusterIP, spec.ClusterIPs)
	}
	for i, ip := range spec.ClusterIPs {
		value, rev := storetest.Value(t, etcd, addresses+ip)
		var claim networkingv1.IPAddress
		if err := json.Unmarshal([]byte(value), &claim); err != nil || rev != it.Revision || claim.Name != ip || claim.Labels[networkingv1.LabelIPAddressFamily] != string(spec.IPFamilies[i]) {
			t.Errorf("claim %s at %d, the service at %d: %v", value, rev, it.Revision, err)
		}
	}
	// The first address of the secondary range is nobody's; that of the primary one belongs to default/kubernetes.
	registrytest.Must(t)(r.Create(ctx, core.Service, ipService{policy: prefer, ips: []string{"10.96.0.9", "fd00:96::1"}}.service("first"), registry.WriteOptions{}))
	for ips, text := range map[string]string{
		"10.96.0.8 fd00:96::1":  `spec.clusterIPs: Invalid value: ["10.96.0.8","fd00:96::1"]: failed to allocate IP fd00:96::1: provided IP is already allocated`,
		"10.96.0.1 fd00:96::3":  "failed to allocate IP 10.96.0.1: provided IP is already allocated",
		"10.96.0.8 fd00:97::1":  "failed to allocate IP fd00:97::1: the provided network does not match the current range",
		"10.96.0.8 fd00:96::":   "failed to allocate IP fd00:96::: the provided IP (fd00:96::) is not in the valid range. The range of valid IPs is fd00:96::/112",
		"10.96.0.8 fd00:96:::1": "must be a valid IP address",
	} {
		_, err := r.Create(ctx, core.Service, ipService{policy: prefer, ips: strings.Fields(ips)}.service("other"), registry.WriteOptions{})
		registrytest.WantError(t, err, registry.Invalid, text)
	}
	if _, _, err := r.Delete(ctx, core.Service, "default", "first", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := storetest.Keys(t, etcd, addresses); len(got) != 2 {
		t.Errorf("addresses %v, want those of web", got)
	}
}

// A Service gets and loses its second family by updates, as Kubernetes' TestUpdateIPsFromSingleStack and TestUpdateIPsFromDualStack say.
func TestServiceChangesItsFamilies(t *testing.T) {
	r, etcd := dualRegistry(t, "10.96.0.0/16", "fd00:96::/112")
	ctx := registrytest.Context(t)
	both := []corev1.IPFamily{ipv4, ipv6}
	first, second := "10.96.0.7", "fd00:96::7"
	one, two := ipService{policy: single, families: both[:1], ips: []string{first}}, ipService{policy: prefer, families: both, ips: []string{first, second}}
	for _, tt := range []struct {
		name string
		from ipService
		to   ipService
		want string // the policy and the addresses; * is one that is drawn
		errs string
	}{
		{"requires", one, ipService{policy: require}, "RequireDualStack " + first + " *", ""},
		{"prefers, with all fields as before", one, ipService{policy: prefer, families: both[:1], ips: []string{first}}, "PreferDualStack " + first + " *", ""},
		{"names the address", one, ipService{policy: require, ips: []string{first, second}}, "RequireDualStack " + first + " " + second, ""},
		{"names the family", one, ipService{policy: prefer, families: both}, "PreferDualStack " + first + " *", ""},
		{"names it without the policy", one, ipService{families: both}, "", policyPath + invalid + `"SingleStack": ` + moreFamilies},
		{"another first family", one, ipService{policy: require, families: []corev1.IPFamily{ipv6, ipv4}}, "", "expected an IPv6 value as indicated by `ipFamilies[0]`"},
		{"becomes single", two, ipService{policy: single, families: both, ips: []string{first, second}}, "SingleStack " + first, ""},
		{"becomes single by policy alone", two, ipService{policy: single}, "SingleStack " + first, ""},
		{"single, and one address", two, ipService{policy: single, ips: []string{first}}, "SingleStack " + first, ""},
		{"one address without the policy", two, ipService{ips: []string{first}}, "", policyPath + invalid + `"PreferDualStack": ` + releaseIP},
		{"one family without the policy", two, ipService{families: both[:1]}, "", policyPath + invalid + `"PreferDualStack": ` + releaseFamily},
		{"the other family", two, ipService{policy: single, families: both[1:], ips: []string{second}}, "", "may not change once set"},
		{"the manifest again", two, ipService{}, "PreferDualStack " + first + " " + second, ""},
		{"an external name", two, ipService{external: true}, "-", ""},
	} {
		registrytest.Must(t)(r.Create(ctx, core.Service, tt.from.service("web"), registry.WriteOptions{}))
		it, err := r.Update(ctx, core.Service, tt.to.service("web"), registry.WriteOptions{})
		if tt.errs != "" {
			registrytest.WantError(t, err, registry.Invalid, tt.errs)
		} else if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else {
			svc := it.Object().(*corev1.Service)
			got := append([]string{"-"}, svc.Spec.ClusterIPs...)
			if svc.Spec.IPFamilyPolicy != nil {
				got[0] = string(*svc.Spec.IPFamilyPolicy)
			}
			want := strings.Fields(tt.want)
			if len(want) == 3 && len(got) == 3 && want[2] == "*" {
				want[2] = got[2]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
			claimed := slices.Sorted(slices.Values(got[1:]))
			if diff := cmp.Diff(claimed, append([]string{}, storetest.Keys(t, etcd, addresses)...)); diff != "" && len(claimed) > 0 {
				t.Errorf("%s, claims (-want +got):\n%s", tt.name, diff)
			}
		}
		if _, _, err := r.Delete(ctx, core.Service, "default", "web", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if left := storetest.Keys(t, etcd, addresses); len(left) != 0 {
			t.Errorf("%s: claims left: %v", tt.name, left)
		}
	}
}

// A Service that takes what there is stays as it is when its cluster gets a second family or loses it.
func TestPreferDualStackStaysAsItIs(t *testing.T) {
	etcd := store.NewFake()
	ctx := registrytest.Context(t)
	with := func(cidrs ...netip.Prefix) *registry.Registry {
		return registrytest.Run(t, registry.Config{Store: etcd, Kinds: kinds.New(), Agent: "test", ServiceCIDRs: cidrs})
	}
	v4, v6 := netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("fd00:96::/112")
	alone, dual := with(v4), with(v4, v6)
	registrytest.Namespace(t, alone, "default")
	created := registrytest.Must(t)(alone.Create(ctx, core.Service, ipService{policy: prefer}.service("web"), registry.WriteOptions{}))
	update := func(r *registry.Registry, label string) []string {
		t.Helper()
		it, err := r.Modify(ctx, core.Service, "default", "web", func(obj schema.Object) (schema.Object, error) {
			svc := obj.DeepCopyObject().(*corev1.Service)
			metav1.SetMetaDataLabel(&svc.ObjectMeta, "a", label)
			return svc, nil
		}, registry.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return it.Object().(*corev1.Service).Spec.ClusterIPs
	}
	if got := update(dual, "1"); len(got) != 1 || got[0] != created.Object().(*corev1.Service).Spec.ClusterIP {
		t.Errorf("addresses %v after the cluster got a second family", got)
	}
	registrytest.Must(t)(dual.Update(ctx, core.Service, ipService{policy: require}.service("web"), registry.WriteOptions{}))
	registrytest.Must(t)(dual.Update(ctx, core.Service, ipService{policy: prefer}.service("web"), registry.WriteOptions{}))
	if got := update(alone, "2"); len(got) != 2 {
		t.Errorf("addresses %v after the cluster lost its second family", got)
	}
}

// The addresses of a ready ServiceCIDR are given out when the configured ranges are used up.
func TestAddressesOfServiceCIDRs(t *testing.T) {
	r, etcd := dualRegistry(t, "10.96.0.0/30", "fd00:96::/126")
	ctx := registrytest.Context(t)
	storetest.Put(t, etcd, "/registry/servicecidrs/new", `{"kind":"ServiceCIDR","apiVersion":"networking.k8s.io/v1","metadata":{"name":"new"},"spec":{"cidrs":["10.98.0.0/30"]}}`)
	registrytest.Must(t)(r.Create(ctx, core.Service, ipService{policy: prefer}.service("a"), registry.WriteOptions{}))
	_, err := r.Create(ctx, core.Service, ipService{}.service("b"), registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Unavailable, "failed to allocate a serviceIP: range is full")
	storetest.Put(t, etcd, "/registry/servicecidrs/new", `{"kind":"ServiceCIDR","apiVersion":"networking.k8s.io/v1","metadata":{"name":"new"},
		"spec":{"cidrs":["10.98.0.0/30","fd00:98::/124"]},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`)
	it := registrytest.Must(t)(r.Create(ctx, core.Service, ipService{}.service("b"), registry.WriteOptions{}))
	if ip := it.Object().(*corev1.Service).Spec.ClusterIP; ip != "10.98.0.1" && ip != "10.98.0.2" {
		t.Errorf("address %s", ip)
	}
	registrytest.Must(t)(r.Create(ctx, core.Service, ipService{families: []corev1.IPFamily{ipv6}, ips: []string{"fd00:98::f"}}.service("c"), registry.WriteOptions{}))
	registrytest.Must(t)(r.Create(ctx, core.Service, ipService{}.service("d"), registry.WriteOptions{}))
	_, err = r.Create(ctx, core.Service, ipService{}.service("e"), registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Unavailable, "failed to allocate a serviceIP: range is full")
}
