package admin

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kjson "sigs.k8s.io/json"
)

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		want           []string
	}{
		{"equal", `{"a":1}`, `{"a":1}`, nil},
		{"number", `{"spec":{"replicas":2}}`, `{"spec":{"replicas":3}}`, []string{"spec.replicas: 2 -> 3"}},
		{"large numbers", `{"a":9007199254740993}`, `{"a":9007199254740992}`, []string{"a: 9007199254740993 -> 9007199254740992"}},
		{"added, removed", `{"a":{"x":1}}`, `{"a":{"y":"b c"}}`, []string{"- a.x: 1", `+ a.y: "b c"`}},
		{"key with dots", `{"a":{"x.y/z":"1"}}`, `{"a":{"x.y/z":"2"}}`, []string{`a["x.y/z"]: 1 -> 2`}},
		{"list by name", `{"l":[{"name":"a","v":1},{"name":"b","v":1}]}`, `{"l":[{"name":"b","v":2},{"name":"c"}]}`,
			[]string{`- l[a]: {"name":"a","v":1}`, "l[b].v: 1 -> 2", `+ l[c]: {"name":"c"}`}},
		{"list by type", `{"l":[{"type":"Ready","status":"False"}]}`, `{"l":[{"type":"Ready","status":"True"}]}`, []string{"l[Ready].status: False -> True"}},
		{"list by index", `{"l":[1,2]}`, `{"l":[1,3,4]}`, []string{"l[1]: 2 -> 3", "+ l[2]: 4"}},
		{"names that are not unique", `{"l":[{"name":"a"},{"name":"a"}]}`, `{"l":[{"name":"a"}]}`, []string{`- l[1]: {"name":"a"}`}},
		{"other type", `{"a":[1]}`, `{"a":{"x":1}}`, []string{`a: [1] -> {"x":1}`}},
		{"null", `{"a":null}`, `{"a":1}`, []string{"a: null -> 1"}},
	} {
		var old, new any
		for text, v := range map[string]*any{c.old: &old, c.new: &new} {
			if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(text), v); err != nil {
				t.Fatal(err)
			}
		}
		if c.old == c.new {
			new = old
		}
		var got []string
		for _, ch := range changes("", old, new) {
			got = append(got, ch.String())
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

func TestFlagsFirst(t *testing.T) {
	commands := Commands(Config{DataDir: outputFlag()})
	for in, want := range map[string]string{
		"gantry up --v x":                      "gantry up --v x",
		"gantry get deploy web -n a --rev=3":   "gantry get -n a --rev=3 -- deploy web",
		"gantry undo --dry-run deploy web":     "gantry undo --dry-run -- deploy web",
		"gantry log deploy web --status -n a":  "gantry log --status -n a -- deploy web",
		"gantry get -- deploy -n":              "gantry get -- deploy -n",
		"gantry backup - --etcd-servers a,b":   "gantry backup --etcd-servers a,b -- -",
		"gantry get deploy web --namespace":    "gantry get --namespace -- deploy web",
		"gantry diff a b --rev 1 --rev 2 -n c": "gantry diff --rev 1 --rev 2 -n c -- a b",
	} {
		if got := strings.Join(FlagsFirst(commands, strings.Fields(in)), " "); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// TestUnreachable checks that an etcd that does not answer is an error within seconds.
func TestUnreachable(t *testing.T) {
	began := time.Now()
	_, _, err := dial(context.Background(), Etcd{Servers: []string{"http://127.0.0.1:1"}})
	if err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:1 does not answer: is gantry (or that etcd) running?") {
		t.Errorf("dial: %v", err)
	}
	if took := time.Since(began); took > 3*dialTimeout/2 {
		t.Errorf("it took %s", took)
	}
}
