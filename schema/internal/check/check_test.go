package check

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TestPlain compares the fast checks of names with the regular expressions, for every text of five of these letters.
func TestPlain(t *testing.T) {
	letters := []byte("a0-.A_/")
	var text []byte
	var try func(int)
	try = func(left int) {
		s := string(text)
		if got, want := plain(s, false), len(validation.IsDNS1123Label(s)) == 0; got != want {
			t.Errorf("plain(%q, false) = %v", s, got)
		}
		if got, want := plain(s, true), len(validation.IsDNS1123Subdomain(s)) == 0; got != want {
			t.Errorf("plain(%q, true) = %v", s, got)
		}
		if got, want := IsQualified(s), len(validation.IsQualifiedName(s)) == 0; got != want {
			t.Errorf("IsQualified(%q) = %v", s, got)
		}
		if got, want := IsLabelValue(s), len(validation.IsValidLabelValue(s)) == 0; got != want {
			t.Errorf("IsLabelValue(%q) = %v", s, got)
		}
		for i := 0; left > 0 && i < len(letters); i++ {
			text = append(text, letters[i])
			try(left - 1)
			text = text[:len(text)-1]
		}
	}
	try(5)
}

// TestLengths checks texts of the greatest length, and of one byte more.
func TestLengths(t *testing.T) {
	for _, n := range []int{63, 64, 253, 254} {
		s := strings.Repeat("a", n)
		for _, c := range []struct {
			name string
			is   func(string) bool
			all  func(string) []string
			text string
		}{
			{"IsLabel", IsLabel, validation.IsDNS1123Label, s},
			{"IsSubdomain", IsSubdomain, validation.IsDNS1123Subdomain, s},
			{"IsQualified", IsQualified, validation.IsQualifiedName, s},
			{"IsQualified", IsQualified, validation.IsQualifiedName, s + "/a"},
			{"IsQualified", IsQualified, validation.IsQualifiedName, "a/" + s},
			{"IsLabelValue", IsLabelValue, validation.IsValidLabelValue, s},
		} {
			if got, want := c.is(c.text), len(c.all(c.text)) == 0; got != want {
				t.Errorf("%s of %d bytes = %v", c.name, len(c.text), got)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	var f Errors
	p := field.NewPath("a")
	f.Named(p, "name", "")
	f.Named(p, "name", "ok-1")
	OneOf(&f, p, "x", "y", "z")
	SetOneOf(&f, p, "", "y")
	f.EndpointIP(p, "::1")
	f.EndpointIP(p, "junk")
	want := []string{
		"a.name: Required value", `a: Unsupported value: "x": supported values: "y", "z"`, "a: Required value",
		`a: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8, ::1/128)`, `a: Invalid value: "junk": must be a valid IP address`,
	}
	for i, e := range f.List {
		if i >= len(want) || e.Error() != want[i] {
			t.Errorf("error %d: %s", i, e)
		}
	}
	if len(f.List) != len(want) {
		t.Errorf("%d errors, want %d", len(f.List), len(want))
	}
	if got := WarnIP(p, "junk"); got != nil {
		t.Errorf("WarnIP of no address: %q", got)
	}
	if got := WarnIP(p, "fd00:0::1"); len(got) != 1 {
		t.Errorf("WarnIP: %q", got)
	}
}
