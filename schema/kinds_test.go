package schema

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
)

func podsAt(group, kind, plural, prefix string) *Kind {
	return &Kind{
		Version: Version{Group: group, Version: "v1", Kind: kind, New: func() Object { return &corev1.Pod{} }},
		Plural:  plural, Prefix: prefix,
	}
}

func TestSetWith(t *testing.T) {
	a := podsAt("a.com", "A", "as", "a.com/as")
	a.Versions = []*Version{{Group: "legacy.a.com", Version: "v1beta1", Kind: "A", New: NewUnstructured}}
	s := NewSet(a)
	for _, tt := range []struct {
		name string
		k    *Kind
		want string
	}{
		{"another", podsAt("a.com", "B", "bs", "a.com/bs"), ""},
		{"in its place", podsAt("a.com", "A", "as", "elsewhere/as"), ""},
		{"its prefix", podsAt("b.com", "A", "as", "a.com/as"), `as.a.com are stored at "a.com/as" already`},
		{"below its prefix", podsAt("b.com", "A", "as", "a.com/as/b"), "not apart from"},
		{"above its prefix", podsAt("b.com", "A", "as", "a.com"), "not apart from"},
		{"its other group's name", podsAt("legacy.a.com", "B", "as", "b.com/as"), "as.legacy.a.com is the name of another resource"},
		{"its kind", podsAt("a.com", "A", "bs", "a.com/bs"), "a.com/v1, Kind=A is the kind of as.a.com already"},
	} {
		next, err := s.With(tt.k)
		if got := fmt.Sprint(err); tt.want != "" && !strings.Contains(got, tt.want) || tt.want == "" && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil && (!next.Has(tt.k) || next.Resource(tt.k.Group, tt.k.Plural) != tt.k || s.Has(tt.k)) {
			t.Errorf("%s: not found", tt.name)
		}
	}
	if s.Kind("legacy.a.com/v1beta1", "A") != a || s.Resource("legacy.a.com", "as") != a || s.Served("legacy.a.com", "v1beta1", "as").Version != a.Versions[0] {
		t.Error("not found by its other version")
	}
	a.NotServed = true
	if s := NewSet(a); s.Served("a.com", "v1", "as").Kind != nil || s.Kind("a.com/v1", "A") != nil || len(a.Served()) != 1 || s.Resource("a.com", "as") != a {
		t.Error("a stored version that is not served is found")
	}
}

func TestKindsFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := podsAt("", "A", "as", "as"), podsAt("", "B", "bs", "bs")
		again := podsAt("", "B", "bs", "bs")
		k := NewKinds(NewSet(a))
		ctx, cancel := context.WithCancel(t.Context())
		var said []string
		ended := make(chan error, 1)
		go func() {
			ended <- k.Follow(ctx, func(now *Set) {
				said = append(said, fmt.Sprint(len(now.All), now.Has(b), now.Has(again)))
			})
		}()
		synctest.Wait()
		for _, kind := range []*Kind{b, b, again} {
			if err := k.Add(kind); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		k.Remove(b) // another is in its place
		k.Remove(again)
		k.Remove(again)
		synctest.Wait()
		cancel()
		if err := <-ended; err == nil {
			t.Error("no error of ctx")
		}
		if got := fmt.Sprint(said); got != "[1 false false 2 true false 2 true false 2 false true 1 false false]" {
			t.Error(got)
		}
	})
}
