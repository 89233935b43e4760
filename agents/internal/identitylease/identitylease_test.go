package identitylease

import (
	"net/netip"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

func TestLeaseNamesItsAddress(t *testing.T) {
	for text, name := range map[string]string{
		"10.0.0.1:6443":      "apiserver-10-0-0-1-6443",
		"[fd00::1%eth0]:443": "apiserver-fd00-0000-0000-0000-0000-0000-0000-0001-443",
	} {
		address := netip.MustParseAddrPort(text)
		l := &coordinationv1.Lease{}
		l.Namespace, l.Name = Namespace, Name(address)
		Fill(l, address, time.Now())
		if got, ok := Address(l); l.Name != name || !ok || got != address || !Is(l) {
			t.Errorf("the lease %s of %s names %s %v", l.Name, text, got, ok)
		}
	}
}

func TestLeasesWithoutAnAddress(t *testing.T) {
	address := netip.MustParseAddrPort("10.0.0.1:6443")
	tests := []struct {
		name   string
		change func(*coordinationv1.Lease)
	}{
		{"no holder", func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = nil }},
		{"never renewed", func(l *coordinationv1.Lease) { l.Spec.RenewTime = nil }},
		{"another's name", func(l *coordinationv1.Lease) { l.Name = "x" }},
		{"no address", func(l *coordinationv1.Lease) { *l.Spec.HolderIdentity = "x" }},
		{"no port", func(l *coordinationv1.Lease) { *l.Spec.HolderIdentity = "10.0.0.1:0" }},
	}
	for _, tt := range tests {
		l := &coordinationv1.Lease{}
		l.Name = Name(address)
		Fill(l, address, time.Now())
		tt.change(l)
		if got, ok := Address(l); ok {
			t.Errorf("%s: it names %s", tt.name, got)
		}
	}
}
