package apitest_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gantry/registry"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
)

// TestListTable is the table of resourceVersion, resourceVersionMatch and limit of Kubernetes' API concepts page.
func TestListTable(t *testing.T) {
	s := store.NewFake()
	old := storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
	storetest.Put(t, s, "/registry/pods/n/b", storetest.Pod("n", "b", ""))
	now := storetest.Put(t, s, "/registry/pods/n/c", storetest.Pod("n", "c", ""))
	r := registrytest.On(t, s)
	if _, err := r.List(registrytest.Context(t), core.Pod, "", registry.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	const all, first = "a b c", "a b"
	tests := []struct {
		rv, match string
		limit     int64
		want      string
		wantErr   string
	}{
		{"", "", 0, all, ""},
		{"", "", 2, first, ""},
		{"0", "", 0, all, ""},
		{"0", "", 2, first, ""},
		{"OLD", "", 0, all, ""}, // not older than
		{"OLD", "", 2, "a", ""}, // exact
		{"", "Exact", 0, "", "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{"0", "Exact", 0, "", `resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"`},
		{"OLD", "Exact", 0, "a", ""},
		{"OLD", "Exact", 2, "a", ""},
		{"", "NotOlderThan", 0, "", "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{"0", "NotOlderThan", 0, all, ""},
		{"0", "NotOlderThan", 2, first, ""},
		{"OLD", "NotOlderThan", 0, all, ""},
		{"OLD", "NotOlderThan", 2, first, ""},
		{"OLD", "Newest", 0, "", `resourceVersionMatch: Unsupported value: "Newest"`},
		{"x", "", 0, "", `invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax`},
		{"-1", "", 0, "", `invalid resource version`},
	}
	for _, tt := range tests {
		name := fmt.Sprintf("rv=%s match=%s limit=%d", tt.rv, tt.match, tt.limit)
		l, err := r.List(registrytest.Context(t), core.Pod, "n", registry.ListOptions{
			ResourceVersion: strings.ReplaceAll(tt.rv, "OLD", fmt.Sprint(old)), ResourceVersionMatch: tt.match, Limit: tt.limit})
		switch {
		case tt.wantErr != "":
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%s: error %v, want %s", name, err, tt.wantErr)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantRev := now
		if tt.want == "a" {
			wantRev = old
		}
		if registrytest.Names(l) != tt.want || l.Revision != wantRev || (l.Continue != "") != (tt.want == first) {
			t.Errorf("%s: %q at %d, continue %q, want %q at %d", name, registrytest.Names(l), l.Revision, l.Continue, tt.want, wantRev)
		}
	}
}

func TestListOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.NewFake()
		rev := storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
		r := registrytest.On(t, s)
		for _, match := range []string{"", "Exact", "NotOlderThan"} {
			began := time.Now()
			_, err := r.List(registrytest.Context(t), core.Pod, "", registry.ListOptions{ResourceVersion: fmt.Sprint(rev + 5), ResourceVersionMatch: match})
			want := fmt.Sprintf("Too large resource version: %d, current: %d", rev+5, rev)
			if !errors.Is(err, registry.Timeout) || !strings.Contains(err.Error(), want) || time.Since(began) > 3*time.Second {
				t.Errorf("match %q: %v after %s, want %s", match, err, time.Since(began), want)
			}
		}
	})
}

func TestListPages(t *testing.T) {
	for _, from := range []string{"cache", "store"} {
		t.Run(from, func(t *testing.T) {
			s := store.NewFake()
			for i := range 7 {
				storetest.Put(t, s, fmt.Sprintf("/registry/pods/n/p%d", i), storetest.Pod("n", fmt.Sprintf("p%d", i), ""))
			}
			storetest.Put(t, s, "/registry/pods/m/x", storetest.Pod("m", "x", ""))
			r := registrytest.On(t, s)
			ctx := registrytest.Context(t)
			var got []string
			o := registry.ListOptions{Limit: 3}
			var at int64
			for {
				l, err := r.List(ctx, core.Pod, "n", o)
				if err != nil {
					t.Fatal(err)
				}
				if at == 0 {
					at = l.Revision
				}
				left := int64(-1)
				if l.Remaining != nil {
					left = *l.Remaining
				}
				got = append(got, fmt.Sprintf("%s (%d left)", registrytest.Names(l), left))
				if l.Revision != at {
					t.Errorf("a page at %d, the first at %d", l.Revision, at)
				}
				if o.Continue = l.Continue; l.Continue == "" {
					break
				}
				// What happens between pages is not seen.
				storetest.Delete(t, s, "/registry/pods/n/p4")
				rev := storetest.Put(t, s, "/registry/pods/n/p30", storetest.Pod("n", "p30", ""))
				if err := r.Observed(ctx, core.Pod, rev); err != nil {
					t.Fatal(err)
				}
				if from == "store" {
					r = registrytest.On(t, s) // another process, which has no state of the first page
				}
			}
			if d := cmp.Diff([]string{"p0 p1 p2 (4 left)", "p3 p4 p5 (1 left)", "p6 (-1 left)"}, got); d != "" {
				t.Errorf("pages (-want +got):\n%s", d)
			}
		})
	}
}

func TestContinueAfterCompaction(t *testing.T) {
	s := store.NewFake()
	for i := range 5 {
		storetest.Put(t, s, fmt.Sprintf("/registry/pods/n/p%d", i), storetest.Pod("n", fmt.Sprintf("p%d", i), ""))
	}
	r := registrytest.On(t, s)
	ctx := registrytest.Context(t)
	l, err := r.List(ctx, core.Pod, "", registry.ListOptions{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	rev := storetest.Put(t, s, "/registry/pods/n/p3", storetest.Pod("n", "p3", `"new":"x"`))
	s.Compact(rev)
	if err := r.Observed(ctx, core.Pod, rev); err != nil {
		t.Fatal(err)
	}
	r = registrytest.On(t, s) // another process, which has no state of the first page
	_, err = r.List(ctx, core.Pod, "", registry.ListOptions{Limit: 2, Continue: l.Continue})
	var e *registry.Error
	if !errors.As(err, &e) || e.Kind != registry.Expired || !strings.HasPrefix(e.Reason, "The provided continue parameter is too old") || e.Continue == "" {
		t.Fatalf("continue after compaction: %v", err)
	}
	l, err = r.List(ctx, core.Pod, "", registry.ListOptions{Limit: 2, Continue: e.Continue})
	if err != nil || registrytest.Names(l) != "p2 p3" || l.Revision != rev || l.Items[1].Object().GetLabels()["new"] != "x" {
		t.Errorf("inconsistent continuation: %s at %d, %v", registrytest.Names(l), l.Revision, err)
	}
	_, err = r.List(ctx, core.Pod, "", registry.ListOptions{ResourceVersion: fmt.Sprint(rev - 1), ResourceVersionMatch: "Exact"})
	if !errors.As(err, &e) || e.Kind != registry.Expired || e.Reason != "The resourceVersion for the provided list is too old." {
		t.Errorf("exact list at a compacted revision: %v", err)
	}
}

// A token expires with etcd's history also where the state is in memory because nothing has changed since; one whose list has
// just begun does not.
func TestContinueExpiresWithHistory(t *testing.T) {
	for _, tt := range []struct {
		begun bool
		want  error
	}{{true, nil}, {false, registry.Expired}} {
		s := store.NewFake()
		for i := range 3 {
			storetest.Put(t, s, fmt.Sprintf("/registry/pods/n/p%d", i), storetest.Pod("n", fmt.Sprintf("p%d", i), ""))
		}
		ctx := registrytest.Context(t)
		first, second := registrytest.On(t, s), registrytest.On(t, s)
		l, err := first.List(ctx, core.Pod, "", registry.ListOptions{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		storetest.Put(t, s, "/registry/configmaps/n/a", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"n","name":"a"}}`)
		s.Compact(storetest.Put(t, s, "/registry/configmaps/n/b", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"n","name":"b"}}`))
		r := second
		if tt.begun {
			r = first
		}
		if _, err = r.List(ctx, core.Pod, "", registry.ListOptions{Limit: 1, Continue: l.Continue}); !errors.Is(err, tt.want) {
			t.Errorf("the list has begun here: %t: %v, want %v", tt.begun, err, tt.want)
		}
	}
}

func TestBadTokens(t *testing.T) {
	s := store.NewFake()
	storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
	r := registrytest.On(t, s)
	enc := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for name, token := range map[string]string{
		"not base64":      "!!",
		"not JSON":        enc("{"),
		"other version":   enc(`{"v":"v2","rv":2,"start":"pods/n/a"}`),
		"no revision":     enc(`{"v":"meta.k8s.io/v1","start":"pods/n/a"}`),
		"negative":        enc(`{"v":"meta.k8s.io/v1","rv":-5,"start":"pods/n/a"}`),
		"other kind":      enc(`{"v":"meta.k8s.io/v1","rv":2,"start":"secrets/n/a"}`),
		"other namespace": enc(`{"v":"meta.k8s.io/v1","rv":2,"start":"pods/m/a"}`),
		"up":              enc(`{"v":"meta.k8s.io/v1","rv":2,"start":"pods/n/../../secrets"}`),
	} {
		_, err := r.List(registrytest.Context(t), core.Pod, "n", registry.ListOptions{Continue: token, Limit: 1})
		if !errors.Is(err, registry.BadRequest) || !strings.Contains(err.Error(), "continue key is not valid") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := enc(`{"v":"meta.k8s.io/v1","rv":2,"start":"pods/n/a"}`)
	_, err := r.List(registrytest.Context(t), core.Pod, "n", registry.ListOptions{Continue: good, ResourceVersion: "2"})
	if !errors.Is(err, registry.BadRequest) || !strings.Contains(err.Error(), "specifying resource version is not allowed when using continue") {
		t.Errorf("token and resourceVersion: %v", err)
	}
}

func TestSelectors(t *testing.T) {
	s := store.NewFake()
	storetest.Put(t, s, "/registry/pods/m/a", storetest.Pod("m", "a", `"app":"web","tier":"1"`))
	storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", `"app":"web","tier":"2"`))
	storetest.Put(t, s, "/registry/pods/n/b", storetest.Pod("n", "b", `"app":"db"`))
	r := registrytest.On(t, s)
	tests := []struct{ namespace, labels, fields, want string }{
		{"", "app=web", "", "a a"},
		{"n", "app=web", "", "a"},
		{"", "app=web,tier!=1", "", "a"},
		{"", "app in (db)", "", "b"},
		{"", "app in (db,web)", "", "a a b"},
		{"", "!tier", "", "b"},
		{"", "app=none", "", ""},
		{"", "", "metadata.name=a", "a a"},
		{"", "", "metadata.namespace=n", "a b"},
		{"m", "", "metadata.namespace=n", ""},
		{"", "", "spec.nodeName=", "a a b"},
		{"", "", "spec.nodeName!=", ""},
		{"", "app=db", "status.phase=,metadata.name!=a", "b"},
	}
	for range 2 { // without an index and with it
		for _, tt := range tests {
			l, err := r.List(registrytest.Context(t), core.Pod, tt.namespace, registry.ListOptions{Labels: tt.labels, Fields: tt.fields})
			if err != nil || registrytest.Names(l) != tt.want {
				t.Errorf("%+v: %q, %v", tt, registrytest.Names(l), err)
			}
		}
		rev := storetest.Put(t, s, "/registry/pods/n/c", storetest.Pod("n", "c", `"app":"other"`))
		if err := r.Observed(registrytest.Context(t), core.Pod, rev); err != nil {
			t.Fatal(err)
		}
		storetest.Delete(t, s, "/registry/pods/n/c")
	}
	for _, bad := range []struct{ labels, fields, want string }{
		{"a==b=c", "", "found '=', expected: ',' or 'end of string'"},
		{"", "spec.foo=x", "field label not supported: spec.foo"},
		{"", "x", "invalid selector"},
	} {
		_, err := r.List(registrytest.Context(t), core.Pod, "", registry.ListOptions{Labels: bad.labels, Fields: bad.fields})
		if !errors.Is(err, registry.BadRequest) || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestConsistentReadSeesEarlierWrites(t *testing.T) {
	s := embeddedtest.Store(t)
	r := registrytest.On(t, s)
	ctx := registrytest.Context(t)
	for i := range 50 {
		rev := storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", fmt.Sprintf(`"i":"%d"`, i)))
		if i%2 == 0 { // not in the range of the pods' watch
			rev = storetest.Put(t, s, "/registry/minions/x", "{}")
		}
		it, err := r.Get(ctx, core.Pod, "n", "a", "")
		if err != nil || it.Object().GetLabels()["i"] != fmt.Sprint(i) {
			t.Fatalf("%d: %v, %v", i, it, err)
		}
		l, err := r.List(ctx, core.Pod, "", registry.ListOptions{})
		if err != nil || l.Revision < rev {
			t.Fatalf("%d: list at %d, written at %d, %v", i, l.Revision, rev, err)
		}
	}
}
