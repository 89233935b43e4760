package addressrange

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestParseFamilies(t *testing.T) {
	for text, want := range map[string]string{
		"10.96.0.0/16":               "[10.96.0.0/16]",
		"fd00:96::/112":              "[fd00:96::/112]",
		"fd00:96::/112,10.96.0.0/16": "[fd00:96::/112 10.96.0.0/16]",
		"10.96.0.0/16, fd00:96::/64": "[10.96.0.0/16 fd00:96::/64]",
	} {
		if got, err := ParseFamilies(text); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                              "no '/'",
		"10.96.0.0/16,":                 "no '/'",
		"10.96.0.1/16":                  `"10.96.0.1/16" has bits set behind the prefix: want 10.96.0.0/16`,
		"::ffff:10.96.0.0/112":          "is an IPv4 network as IPv6",
		"10.1.0.0/16,10.2.0.0/16":       "10.1.0.0/16 and 10.2.0.0/16 are of one address family",
		"10.1.0.0/16,fd::/64,fd01::/64": "more than two networks",
	} {
		if got, err := ParseFamilies(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want an error with %q", text, got, err, want)
		}
	}
	both, _ := ParseFamilies("fd00:96::/112,10.96.0.0/16")
	if OfFamily(both, true) != both[1] || OfFamily(both, false) != both[0] || OfFamily(both[:1], true) != (netip.Prefix{}) {
		t.Error("a network is not of its family")
	}
}
