package proxy

import (
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/netnstest"
)

func TestAllowedSources(t *testing.T) {
	for _, tc := range []struct {
		name       string
		ranges     []string
		annotation string
		want       string // "all" or the networks
	}{
		{"none", nil, "", "all"},
		{"everything", []string{"0.0.0.0/0", "192.0.2.0/24"}, "", "all"},
		{"nested and twice", []string{"192.0.2.128/25", "203.0.113.7/32", "192.0.2.0/24", "192.0.2.0/24"}, "", "[192.0.2.0/24 203.0.113.7/32]"},
		{"blanks and host bits", []string{" 192.0.2.5/24 "}, "", "[192.0.2.0/24]"},
		{"invalid ones allow nobody", []string{"192.0.2.0", "x", "fd00::/8"}, "", "[]"},
		{"annotation", nil, " 192.0.2.0/24, 203.0.113.0/24", "[192.0.2.0/24 203.0.113.0/24]"},
		{"the spec counts", []string{"192.0.2.0/24"}, "0.0.0.0/0", "[192.0.2.0/24]"},
		{"empty annotation", nil, " ", "all"},
	} {
		svc := balanced(service("lb", "10.96.0.12", port("", 80, 0)), "198.51.100.7", tc.ranges...)
		svc.Annotations = map[string]string{corev1.AnnotationLoadBalancerSourceRangesKey: tc.annotation}
		sources, limited := allowedSources(svc, testNode)
		got := fmt.Sprint(sources)
		if !limited {
			got = "all"
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// Source ranges hold for the load balancer's address, whoever the client is, and for no other address of the Service.
func TestSourceRanges(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	const address = "198.51.100.7"
	set := func(ranges ...string) {
		t.Helper()
		setService(p, balanced(service("lb", "10.96.0.12", port("", 80, 30080)), address, ranges...), slice("lb", "", 8080, addrA+"@n1"))
		p.must(t)
	}
	reaches := func(from int, to string, want bool) {
		t.Helper()
		_, _, err := netnstest.Request(t, from, "tcp", to)
		if (err == nil) != want {
			t.Errorf("asking %s: %v, want an answer: %t", to, err, want)
		}
	}
	for _, tc := range []struct {
		ranges             []string
		outside, pod, host bool
	}{
		{nil, true, true, true},
		{[]string{outsideIP + "/32"}, true, false, false},
		{[]string{"192.0.2.0/24"}, true, false, true}, // the node's address is in it
		{[]string{"192.0.2.0/28", "10.0.0.0/8"}, false, true, true},
		{[]string{"192.0.2.16/28", addrB + "/32"}, true, true, false},
		{[]string{"203.0.113.0/24"}, false, false, false},
		{[]string{"fd00::/8"}, false, false, false},
		{[]string{"0.0.0.0/0"}, true, true, true},
	} {
		t.Run(fmt.Sprint(tc.ranges), func(t *testing.T) {
			set(tc.ranges...)
			var others sync.WaitGroup // a refused one takes two seconds
			others.Go(func() { reaches(w.outside, address+":80", tc.outside) })
			others.Go(func() { reaches(w.b, address+":80", tc.pod) })
			others.Wait()
			reaches(w.host, address+":80", tc.host)
			reaches(w.outside, "192.0.2.10:30080", true)
			reaches(w.outside, "10.96.0.12:80", true)
			reaches(w.b, "10.96.0.12:80", true)
		})
	}
}
