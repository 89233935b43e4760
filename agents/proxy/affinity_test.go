package proxy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/netnstest"
)

// alwaysAnswers connects to addrs in turn and fails when another pod than who answers.
func alwaysAnswers(t *testing.T, from int, who string, addrs ...string) {
	t.Helper()
	for i := range 20 {
		addr := addrs[i%len(addrs)]
		if n, _, err := netnstest.Request(t, from, "tcp", addr); n != who || err != nil {
			t.Fatalf("%s: %s answered (%v), want %s", addr, n, err, who)
		}
	}
}

func ask(t *testing.T, from int, addr string) (who string) {
	t.Helper()
	who, _, err := netnstest.Request(t, from, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func TestAffinity(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	svc := withAffinity(service("web", "10.96.0.12", port("", 80, 0)))
	setService(p, svc, slice("web", "", 8080, addrA+"@n1", addrB+"@n1", addrC+"@n1"))
	p.must(t)
	first := ask(t, w.a, "10.96.0.12:80")
	alwaysAnswers(t, w.a, first, "10.96.0.12:80")
	addrs := map[string]string{"a": addrA, "b": addrB, "c": addrC}
	others := map[string]string{"a": "b", "b": "c", "c": "a"}
	// Another endpoint is removed: the client keeps its endpoint, which gets another number.
	keep := []string{addrs[first] + "@n1", addrs[others[others[first]]] + "@n1"}
	setService(p, svc, slice("web", "", 8080, keep...))
	p.must(t)
	alwaysAnswers(t, w.a, first, "10.96.0.12:80")
	// The client's endpoint is removed: it gets another one and keeps that.
	setService(p, svc, slice("web", "", 8080, keep[1]))
	p.must(t)
	alwaysAnswers(t, w.a, others[others[first]], "10.96.0.12:80")
	setService(p, svc, slice("web", "", 8080, addrA+"@n1", addrB+"@n1", addrC+"@n1"))
	p.must(t)
	alwaysAnswers(t, w.a, others[others[first]], "10.96.0.12:80")
	want := fmt.Sprintf("10.244.1.2 . 0x%08x timeout 3h", p.tables[0].frontends[key{netip.MustParseAddr("10.96.0.12"), 6, 80}].affinityID)
	if got := run(t, "nft", "list", "map", "ip", TableName, affinitySet); !strings.Contains(got, want) {
		t.Errorf("%q is missing in the affinity map:\n%s", want, got)
	}
}

// TestAffinityOfAllFrontends connects to a service's cluster IP and node port: a client has one endpoint at both, through changes of
// endpoints, a restart, and changes of the frontends themselves.
func TestAffinityOfAllFrontends(t *testing.T) {
	const cluster, node = "10.96.0.12:80", "192.0.2.10:30080"
	w, p := newTestNetwork(t), newTestSyncer(t)
	all := []string{addrA + "@n1", addrB + "@n2", addrC + "@n1"}
	for _, policy := range []corev1.ServiceExternalTrafficPolicy{corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal} {
		svc := withAffinity(service("web", "10.96.0.12", port("", 80, 30080)))
		svc.Spec.ExternalTrafficPolicy = policy
		t.Run(string(policy), func(t *testing.T) {
			p := newTestSyncer(t)
			setService(p, svc, slice("web", "", 8080, all...))
			p.must(t)
			who := map[int]string{}
			for _, from := range []int{w.a, w.c, w.host} { // b is on n2 for the proxy, so it has no hairpin
				who[from] = ask(t, from, node)
				alwaysAnswers(t, from, who[from], node, cluster)
			}
			setService(p, svc, slice("web", "", 8080, append([]string{"10.244.0.9@n2"}, all...)...)) // the numbers of the endpoints change
			p.must(t)
			p = newSyncer([]*kernelTable{newKernelTable(clusterCIDR)}, p.log)
			setService(p, svc, slice("web", "", 8080, all...))
			p.must(t)
			setService(p, with(svc.DeepCopy(), func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP }), slice("web", "", 8080, all...))
			p.must(t) // without its node port
			setService(p, svc, slice("web", "", 8080, all...))
			p.must(t)
			for from, first := range who {
				alwaysAnswers(t, from, first, cluster, node)
			}
		})
	}
	t.Run("several ports", func(t *testing.T) { // affinity is per port
		svc := withAffinity(service("two", "10.96.0.13", port("x", 80, 0), port("y", 81, 0)))
		x, y := slice("two", "x", 8080, all[0], all[1]), slice("two", "y", 8080, all[2])
		y.Name = "two-2"
		setService(p, svc, x, y)
		p.must(t)
		first := ask(t, w.host, "10.96.0.13:80")
		for range 5 {
			alwaysAnswers(t, w.host, "c", "10.96.0.13:81")
			alwaysAnswers(t, w.host, first, "10.96.0.13:80")
		}
	})
}

// TestAffinityOnAndOff has the steps of the conformance test that switches affinity of a NodePort service.
func TestAffinityOnAndOff(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	plain := service("web", "10.96.0.12", port("", 80, 30080))
	all := slice("web", "", 8080, addrA+"@n1", addrB+"@n1", addrC+"@n1")
	for range 2 {
		setService(p, withAffinity(plain.DeepCopy()), all)
		p.must(t)
		alwaysAnswers(t, w.b, ask(t, w.b, "192.0.2.10:30080"), "192.0.2.10:30080")
		setService(p, plain, all)
		p.must(t)
		answers(t, w.b, "tcp", "192.0.2.10:30080", "a", "b", "c")
		if got := run(t, "nft", "list", "map", "ip", TableName, affinitySet); strings.Contains(got, "elements") {
			t.Errorf("clients are remembered:\n%s", got)
		}
	}
}

// TestAffinityOfFewerEndpoints: at a frontend that does not have the client's remembered endpoint, the client gets one of the
// frontend's, always the same.
func TestAffinityOfFewerEndpoints(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	svc := withAffinity(service("web", "10.96.0.12", port("", 80, 30080)))
	inside := corev1.ServiceInternalTrafficPolicyLocal
	svc.Spec.InternalTrafficPolicy = &inside
	setService(p, svc, slice("web", "", 8080, addrA+"@n1", addrB+"@n1", addrC+"@n2"))
	p.must(t)
	for _, from := range []int{w.a, w.b, w.host} {
		outer := ask(t, from, "192.0.2.10:30080")
		inner := ask(t, from, "10.96.0.12:80")
		if inner == "c" || outer != "c" && inner != outer {
			t.Errorf("%s answers at the node port, %s at the cluster IP", outer, inner)
		}
		alwaysAnswers(t, from, inner, "10.96.0.12:80")
		alwaysAnswers(t, from, outer, "192.0.2.10:30080")
	}
}
