package addressrange

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []string
		want string
	}{
		{"network", []string{"192.168.1.240/28"}, "192.168.1.241-192.168.1.254"},
		{"two addresses", []string{"192.168.1.240/31"}, "192.168.1.240-192.168.1.241"},
		{"one address", []string{"192.168.1.240/32", "192.168.1.250"}, "192.168.1.240, 192.168.1.250"},
		{"range with blanks", []string{" 192.168.1.20 - 192.168.1.30 "}, "192.168.1.20-192.168.1.30"},
		{"overlaps are merged", []string{"10.0.0.5-10.0.0.9", "10.0.0.1-10.0.0.6", "10.0.0.2"}, "10.0.0.1-10.0.0.9"},
		{"IPv6", []string{"fd00::/64", "fd01::1-fd01::5"}, "fd00::1-fd00::ffff:ffff:ffff:ffff, fd01::1-fd01::5"},
		{"both families, sorted", []string{"fd00::1", "10.0.0.1"}, "10.0.0.1, fd00::1"},
		{"none", nil, ""},
	} {
		got, err := Parse(tc.in)
		if err != nil || got.String() != tc.want {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
		}
	}
}

func TestParseFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "is not a range of addresses: want a network such as",
		"web":                 `"web" is not a range of addresses`,
		"10.0.0.0/33":         "is not a range of addresses",
		"10.0.0.1-":           "is not a range of addresses",
		"10.0.0.1-10.0.0.3-5": "is not a range of addresses",
		"fe80::1%eth0":        "is not a range of addresses",
		"::ffff:10.0.0.1":     "is not a range of addresses",
		"10.0.0.9-10.0.0.1":   "ends before it begins: want 10.0.0.1-10.0.0.9",
		"10.0.0.1-fd00::1":    "two families: give two ranges",
		"192.168.1.5/24":      "want 192.168.1.0/24, or 192.168.1.5 for the address alone",
		"127.0.0.1":           "has loopback addresses (127.0.0.0/8): leave them out",
		"100.0.0.0-255.0.0.0": "has loopback addresses",
		"0.0.0.0/0":           "has unspecified addresses",
		"239.0.0.1-239.0.0.2": "has multicast addresses",
		"255.255.255.255":     "has reserved addresses",
		"169.254.1.1":         "has link-local addresses",
		"::/0":                "has unspecified and loopback addresses",
		"fe80::/64":           "has link-local addresses",
		"ff02::1":             "has multicast addresses",
	} {
		if got, err := Parse([]string{"10.9.9.9", text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestNextFree(t *testing.T) {
	r, err := Parse([]string{"10.0.0.4/30", "10.1.0.0/31", "fd00::/127"})
	if err != nil {
		t.Fatal(err)
	}
	used := map[netip.Addr]bool{}
	take := func(is4 bool) string {
		a, ok := r.NextFree(is4, func(a netip.Addr) bool { return used[a] })
		if !ok {
			return ""
		}
		used[a] = true
		return a.String()
	}
	for _, want := range []string{"10.0.0.5", "10.0.0.6", "10.1.0.0", "10.1.0.1", "", ""} {
		if got := take(true); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, want := range []string{"fd00::", "fd00::1", ""} {
		if got := take(false); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	delete(used, netip.MustParseAddr("10.0.0.6"))
	if got := take(true); got != "10.0.0.6" {
		t.Errorf("after it was released: %q", got)
	}
	if last, err := Parse([]string{"223.255.255.255", "feff:ffff::ffff"}); err != nil || !last.Has6() || !last.Has4() {
		t.Errorf("%v, %v", last, err)
	}
}

// What is given out is contained in the ranges, and every address that a range names is given out once.
func TestEveryAddressIsGivenOutOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var texts []string
		all := map[netip.Addr]bool{}
		for range rapid.IntRange(1, 4).Draw(t, "ranges") {
			first := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "first")})
			last := first
			for all[first] = true; rapid.IntRange(0, 9).Draw(t, "longer") > 0 && last.Next().As4()[2] == 0; all[last] = true {
				last = last.Next()
			}
			texts = append(texts, first.String()+"-"+last.String())
		}
		r, err := Parse(texts)
		if err != nil {
			t.Fatal(err)
		}
		used := map[netip.Addr]bool{}
		for {
			a, ok := r.NextFree(true, func(a netip.Addr) bool { return used[a] })
			if !ok {
				break
			}
			if used[a] || !all[a] || !r.Contains(a) || !r.Overlaps(netip.PrefixFrom(a, 32)) {
				t.Fatalf("%s of %v is given out", a, texts)
			}
			used[a] = true
		}
		if len(used) != len(all) {
			t.Fatalf("%d addresses of %v, want %d", len(used), texts, len(all))
		}
	})
}
