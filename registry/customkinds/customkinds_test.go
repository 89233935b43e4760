package customkinds_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"gantry/registry"
	"gantry/registry/customkinds"
	"gantry/registry/leaktest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/apiextensions"
	"gantry/schema/kinds"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

const key = "/registry/apiextensions.k8s.io/customresourcedefinitions/"

// value is a definition as the controllers leave it, written by hand.
func value(group, plural, kind, schema string) string {
	names := fmt.Sprintf(`{"plural":%q,"singular":%q,"kind":%q,"listKind":%q}`, plural, strings.ToLower(kind), kind, kind+"List")
	return fmt.Sprintf(`{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1",
		"metadata":{"name":"%[1]s.%[2]s","uid":"0f8fad5b-d9cb-469f-a165-70867728950e"},
		"spec":{"group":%[2]q,"scope":"Namespaced","names":%[3]s,"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":%[4]s}}]},
		"status":{"acceptedNames":%[3]s,"storedVersions":["v1"],"conditions":[{"type":"NamesAccepted","status":"True","lastTransitionTime":null,"reason":"","message":""}]}}`,
		plural, group, names, schema)
}

const anything = `{"type":"object","x-kubernetes-preserve-unknown-fields":true}`

func put(t *testing.T, s store.Store, name, value string) {
	t.Helper()
	kv, _, err := s.Get(t.Context(), key+name, 0)
	if err != nil {
		t.Fatal(err)
	}
	txn := store.Txn{Compares: []store.Compare{{Key: key + name}}, Puts: []store.Put{{Key: key + name, Value: []byte(value)}}}
	if kv != nil {
		txn.Compares[0].Revision = kv.ModRevision
	}
	if value == "" {
		txn.Puts, txn.Deletes = nil, []string{key + name}
	}
	if res, err := s.Commit(t.Context(), txn); err != nil || !res.Done {
		t.Fatal(res, err)
	}
}

// await waits until the kinds are as check wants them.
func await(t *testing.T, k *schema.Kinds, what string, check func(*schema.Set) bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		set, changed := k.Watch()
		if check(set) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// texts collects what is logged.
type texts struct {
	mu  sync.Mutex // guards all
	all strings.Builder
}

func (l *texts) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *texts) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.all.String(), text)
}

// Definitions written past every API make kinds that come, change and go. One that cannot be served stops nothing and is reported once.
func TestDefinitionsInEtcd(t *testing.T) {
	s, all, log := store.NewFake(), kinds.New(), &texts{}
	put(t, s, "widgets.example.com", value("example.com", "widgets", "Widget", anything))
	put(t, s, "deployments.apps", value("apps", "deployments", "Deployment", anything))
	put(t, s, "broken.example.com", value("example.com", "broken", "Broken", `{"type":"object","properties":{"a":{"type":"array","items":[{"type":"string"}]}}}`))
	put(t, s, "nothing.example.com", `{"kind":"CustomResourceDefinition"}`)
	r := registry.New(registry.Config{Store: s, Kinds: all, Log: slog.New(slog.DiscardHandler)})
	f := customkinds.New(r, slog.New(slog.NewTextHandler(log, nil)))
	if f.Ready(t.Context()) == nil {
		t.Error("ready before it runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	running.Go(func() { _ = f.Run(ctx) })
	defer running.Wait()
	defer cancel()

	select {
	case <-f.Loaded():
	case <-time.After(time.Minute):
		t.Fatal("the definitions are not read")
	}
	first := all.Set().Resource("example.com", "widgets")
	if first == nil || f.Ready(t.Context()) != nil {
		t.Fatal("a definition that was there at the start is not served")
	}
	if k := all.Set().Resource("apps", "deployments"); k == nil || k.IsUnstructured() {
		t.Error("a built-in kind was replaced")
	}
	if all.Set().Resource("example.com", "broken") != nil {
		t.Error("a kind without a structural schema is served")
	}

	put(t, s, "widgets.example.com", value("example.com", "widgets", "Widget", `{"type":"object"}`))
	await(t, all, "the changed schema", func(now *schema.Set) bool {
		k := now.Resource("example.com", "widgets")
		return k != nil && k != first
	})
	put(t, s, "gadgets.example.com", value("example.com", "gadgets", "Widget", anything)) // whose kind is another's
	put(t, s, "others.example.com", value("example.com", "others", "Other", anything))
	await(t, all, "another kind", func(now *schema.Set) bool { return now.Resource("example.com", "others") != nil })
	if all.Set().Resource("example.com", "gadgets") != nil {
		t.Error("a kind of another's name is served")
	}
	put(t, s, "widgets.example.com", "")
	await(t, all, "the end of a kind and the one that has its name then", func(now *schema.Set) bool {
		return now.Resource("example.com", "widgets") == nil && now.Resource("example.com", "gadgets") != nil
	})
	for name, want := range map[string]int{"deployments.apps": 1, "broken.example.com": 1, "gadgets.example.com": 1, "others.example.com": 0} {
		if n := log.count("name=" + name); n != want {
			t.Errorf("%s was reported %d times, want %d", name, n, want)
		}
	}

	set, bad, err := customkinds.Read(t.Context(), s, kinds.BuiltIn())
	if err != nil || len(bad) != 3 || set.Resource("example.com", "others") == nil {
		t.Errorf("read at once: %v, %v", bad, err)
	}
}

// A definition whose names are not accepted is not served.
func TestNamesAreAccepted(t *testing.T) {
	obj, err := schema.Unmarshal(apiextensions.CustomResourceDefinition.Stored(), []byte(strings.Replace(value("example.com", "widgets", "Widget", anything), "NamesAccepted", "Other", 1)))
	if err != nil {
		t.Fatal(err)
	}
	d := obj.(*apiextensionsv1.CustomResourceDefinition)
	s := store.NewFake()
	text, err := schema.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, d.Name, string(text))
	set, bad, err := customkinds.Read(t.Context(), s, kinds.BuiltIn())
	if err != nil || len(bad) > 0 || set.Resource("example.com", "widgets") != nil {
		t.Error(bad, err)
	}
}
