package admin

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/admin/trace"
	"gantry/agents/up"
	"gantry/registry"
	"gantry/registry/embedded"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

var update = flag.Bool("update", false, "rewrite testdata")

// fixture is a real etcd in this process with a registry over it, and the commands.
type fixture struct {
	t     *testing.T
	ctx   context.Context
	etcd  *embedded.Etcd
	store *store.Etcd
	reg   *registry.Registry
	text  strings.Builder // the commands so far and what they printed
}

// newFixture starts with the namespace default, a ServiceAccount in it, and a registry that keeps the quarantine.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Setenv("SUDO_USER", "dora")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	e, err := embedded.Open(embedded.Config{Dir: t.TempDir(), NoSync: true, Log: discardLog()})
	if err != nil {
		t.Fatal(err)
	}
	r := &fixture{t: t, ctx: ctx, etcd: e, store: store.NewEtcd(e.Client(), e.Client())}
	r.reg = registry.New(registry.Config{
		Store: r.store, Kinds: kinds.New(), Agent: "controllers", Quarantine: true, Log: slog.New(slog.DiscardHandler),
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")},
	})
	runCtx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.reg.Run(runCtx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		cancel()
		e.Close()
	})
	r.await("/gantry/version", true)
	r.must(r.reg.Create(ctx, core.Namespace,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, registry.WriteOptions{}))
	r.must(r.reg.Create(ctx, core.ServiceAccount,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "default"}}, registry.WriteOptions{}))
	for _, k := range []*schema.Kind{core.ConfigMap, core.Pod} { // the first read starts the watch that finds bad values
		if _, err := r.reg.List(ctx, k, "", registry.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *fixture) must(it *registry.Item, err error) *registry.Item {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	return it
}

// await waits until a key exists, or does not.
func (r *fixture) await(key string, there bool) {
	r.t.Helper()
	kv, rev, err := r.store.Get(r.ctx, key, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if (kv != nil) == there {
		return
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	for b := range r.store.Watch(ctx, key, key+"\x00", rev+1, false) {
		for _, e := range b.Events {
			if e.Delete != there {
				return
			}
		}
		if b.Err != nil {
			r.t.Fatal(b.Err)
		}
	}
	r.t.Fatalf("waiting for %s: exists=%v timed out", key, there)
}

// put is etcdctl put.
func (r *fixture) put(key, value string) {
	r.t.Helper()
	if _, err := r.etcd.Client().Put(r.ctx, key, value); err != nil {
		r.t.Fatal(err)
	}
}

// gantry runs a command and returns what it prints.
func (r *fixture) gantry(args ...string) string {
	r.t.Helper()
	out, err := r.run(args...)
	if err != nil {
		out += "error: " + err.Error() + "\n"
	}
	fmt.Fprintf(&r.text, "$ gantry %s\n%s\n", strings.Join(args, " "), out)
	return out
}

func (r *fixture) run(args ...string) (string, error) {
	var out bytes.Buffer
	cfg := Config{
		DataDir: &cli.StringFlag{Name: "data-dir", Value: "/nowhere"},
		Find:    func(string) (Etcd, error) { return Etcd{Servers: []string{"here"}}, nil },
		Machine: func(string) trace.Machine { return noNode{} },
		Agents:  up.RunPlanningAgents,
		connect: func(context.Context, Etcd) (*clientv3.Client, func(), error) { return r.etcd.Client(), func() {}, nil },
	}
	commands := Commands(cfg)
	app := &cli.App{Name: "gantry", Commands: commands, Writer: &out, ErrWriter: &out, ExitErrHandler: func(*cli.Context, error) {}}
	err := app.RunContext(r.ctx, FlagsFirst(commands, append([]string{"gantry"}, args...)))
	return out.String(), err
}

// What differs from run to run.
var volatile = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "YYYY-MM-DD hh:mm:ss"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(` \d+s  `), " 0s  "},
	{regexp.MustCompile(`\d+ bytes`), "N bytes"},
}

// golden compares the commands so far with testdata/<name>.txt.
func (r *fixture) golden(name string) {
	r.t.Helper()
	got := r.text.String()
	for _, v := range volatile {
		got = v.find.ReplaceAllString(got, v.put)
	}
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		r.t.Errorf("%s (-want +got):\n%s", file, d)
	}
}
