package network

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/schema"
	"gantry/schema/discovery"
)

// maxPerSlice is how many endpoints a slice holds.
const maxPerSlice = 100

// slicing describes the slices of one owner (a Service or an Endpoints).
type slicing struct {
	owner     schema.Object
	ownerKind *schema.Kind
	// prefix begins the slices' names.
	prefix string
	labels map[string]string
	// annotations are set where not nil.
	annotations map[string]string
	// placeholder keeps one slice without endpoints where there is no endpoint, so that consumers see that.
	placeholder bool
}

// plan decides how the slices that exist become slices of the wanted endpoints, changing as few of them as possible:
// an endpoint stays in its slice, new ones fill up slices, and a slice that has become empty is deleted.
func (s slicing) plan(existing []*discoveryv1.EndpointSlice, wanted map[discoveryv1.AddressType][]endpoint) []controller.Action {
	groups := map[string]*sliceGroup{}
	group := func(t discoveryv1.AddressType, ports []discoveryv1.EndpointPort) *sliceGroup {
		key := string(t) + "\x02" + portKey(ports)
		if groups[key] == nil {
			groups[key] = &sliceGroup{family: t, ports: ports, wanted: map[string]discoveryv1.Endpoint{}}
		}
		return groups[key]
	}
	for t, endpoints := range wanted {
		for _, e := range endpoints {
			group(t, e.ports).want(e.endpoint)
		}
	}
	for _, es := range slices.SortedFunc(slices.Values(existing), controller.ByName[*discoveryv1.EndpointSlice]) {
		g := group(es.AddressType, es.Ports)
		g.existing = append(g.existing, es)
	}
	var changes sliceChanges
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		groups[key].fill(&changes)
	}
	s.keepPlaceholder(&changes, wanted)
	return s.actions(existing, changes)
}

// sliceGroup is the slices of one address family and one set of ports.
type sliceGroup struct {
	family   discoveryv1.AddressType
	ports    []discoveryv1.EndpointPort
	order    []string // keys of wanted, as they came
	wanted   map[string]discoveryv1.Endpoint
	existing []*discoveryv1.EndpointSlice
}

// sliceChanges are slices as they are to be.
type sliceChanges struct {
	keep   []*discoveryv1.EndpointSlice // existing ones, perhaps changed
	create []*discoveryv1.EndpointSlice
	remove []*discoveryv1.EndpointSlice
}

func (g *sliceGroup) want(e discoveryv1.Endpoint) {
	key := endpointKey(&e)
	if _, twice := g.wanted[key]; !twice {
		g.order = append(g.order, key)
	}
	g.wanted[key] = e
}

func (g *sliceGroup) fill(out *sliceChanges) {
	placed := map[string]bool{}
	var kept []*discoveryv1.EndpointSlice
	for _, es := range g.existing {
		c := es.DeepCopy()
		c.Endpoints = []discoveryv1.Endpoint{}
		for i := range es.Endpoints {
			key := endpointKey(&es.Endpoints[i])
			if e, ok := g.wanted[key]; ok && !placed[key] && len(c.Endpoints) < maxPerSlice {
				placed[key] = true
				c.Endpoints = append(c.Endpoints, e)
			}
		}
		kept = append(kept, c)
	}
	rest := slices.DeleteFunc(slices.Clone(g.order), func(key string) bool { return placed[key] })
	rest = g.topUp(kept, rest)
	for _, c := range kept {
		if len(c.Endpoints) == 0 {
			out.remove = append(out.remove, c)
		} else {
			out.keep = append(out.keep, c)
		}
	}
	for chunk := range slices.Chunk(rest, maxPerSlice) {
		es := &discoveryv1.EndpointSlice{AddressType: g.family, Ports: g.ports}
		for _, key := range chunk {
			es.Endpoints = append(es.Endpoints, g.wanted[key])
		}
		out.create = append(out.create, es)
	}
}

// topUp puts endpoints into slices that have room: first into those that change anyway, then into the fullest.
func (g *sliceGroup) topUp(kept []*discoveryv1.EndpointSlice, rest []string) []string {
	order := slices.Clone(kept)
	changed := func(c *discoveryv1.EndpointSlice) bool {
		i := slices.IndexFunc(g.existing, func(es *discoveryv1.EndpointSlice) bool { return es.Name == c.Name })
		return !equality.Semantic.DeepEqual(g.existing[i].Endpoints, c.Endpoints)
	}
	was := map[string]bool{}
	for _, c := range order {
		was[c.Name] = changed(c)
	}
	slices.SortStableFunc(order, func(a, b *discoveryv1.EndpointSlice) int {
		if was[a.Name] != was[b.Name] {
			if was[a.Name] {
				return -1
			}
			return 1
		}
		return len(b.Endpoints) - len(a.Endpoints)
	})
	for _, c := range order {
		n := min(maxPerSlice-len(c.Endpoints), len(rest))
		for _, key := range rest[:n] {
			c.Endpoints = append(c.Endpoints, g.wanted[key])
		}
		rest = rest[n:]
	}
	return rest
}

// keepPlaceholder keeps or creates a slice without endpoints in each wanted family that would have no slice.
func (s slicing) keepPlaceholder(c *sliceChanges, wanted map[discoveryv1.AddressType][]endpoint) {
	if !s.placeholder {
		return
	}
	for _, t := range slices.Sorted(maps.Keys(wanted)) {
		has := func(es *discoveryv1.EndpointSlice) bool { return es.AddressType == t }
		if slices.ContainsFunc(c.keep, has) || slices.ContainsFunc(c.create, has) {
			continue
		}
		if i := slices.IndexFunc(c.remove, has); i >= 0 {
			c.keep = append(c.keep, c.remove[i])
			c.remove = slices.Delete(c.remove, i, i+1)
			continue
		}
		c.create = append(c.create, &discoveryv1.EndpointSlice{AddressType: t, Endpoints: []discoveryv1.Endpoint{}, Ports: []discoveryv1.EndpointPort{}})
	}
}

func (s slicing) actions(existing []*discoveryv1.EndpointSlice, c sliceChanges) (plan []controller.Action) {
	before := map[string]*discoveryv1.EndpointSlice{}
	taken := map[string]bool{}
	seed := controller.NewNameSeed(s.owner)
	for _, es := range existing {
		before[es.Name], taken[es.Name] = es, true
		seed.Add(es.Name, es.ResourceVersion)
	}
	seed.Add(s.owner.GetResourceVersion())
	for i, name := range seed.Names(s.prefix, len(c.create), taken) {
		es := c.create[i]
		es.Name, es.Namespace, es.GenerateName = name, s.owner.GetNamespace(), s.prefix+"-"
		s.setMetadata(es)
		plan = append(plan, controller.Action{Do: controller.Create, Kind: discovery.EndpointSlice, Object: es, Reason: fmt.Sprintf("%d endpoints have no slice", len(es.Endpoints))})
	}
	for _, es := range c.keep {
		s.setMetadata(es)
		if was := before[es.Name]; !equality.Semantic.DeepEqual(es, was) {
			plan = append(plan, controller.Action{Do: controller.Update, Kind: discovery.EndpointSlice, Object: es, Reason: changeOf(was, es)})
		}
	}
	for _, es := range c.remove {
		plan = append(plan, controller.Action{Do: controller.Delete, Kind: discovery.EndpointSlice, Object: es, Reason: "no endpoint is left in it"})
	}
	return plan
}

// setMetadata sets labels, annotations and owner, which are the same for every slice.
func (s slicing) setMetadata(es *discoveryv1.EndpointSlice) {
	es.Labels = maps.Clone(s.labels)
	if s.annotations != nil {
		es.Annotations = maps.Clone(s.annotations)
	}
	if !slices.ContainsFunc(es.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == s.owner.GetUID() }) {
		es.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(s.owner, s.ownerKind.GVK())}
	}
}

// changeOf says what differs, for the log.
func changeOf(was, is *discoveryv1.EndpointSlice) string {
	ready := func(es *discoveryv1.EndpointSlice) (n int) {
		for _, e := range es.Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) {
				n++
			}
		}
		return n
	}
	if equality.Semantic.DeepEqual(was.Endpoints, is.Endpoints) {
		return "labels follow the service"
	}
	return fmt.Sprintf("%d of %d endpoints ready, were %d of %d", ready(is), len(is.Endpoints), ready(was), len(was.Endpoints))
}

// headless tells a service without an address of its own.
func headless(svc *corev1.Service) bool {
	return svc.Spec.ClusterIP == "" || svc.Spec.ClusterIP == corev1.ClusterIPNone
}
