package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/store"
)

// elections run on both stores.
func elections(t *testing.T, run func(t *testing.T, s store.Store, expire func(key string))) {
	t.Run("fake", func(t *testing.T) {
		f := store.NewFake()
		run(t, f, func(key string) {
			kv, _, _ := f.Get(context.Background(), key, 0)
			f.Expire(kv.Lease)
		})
	})
	t.Run("etcd", func(t *testing.T) {
		e := embeddedtest.Open(t)
		s := store.NewEtcd(e.Client(), e.Client())
		run(t, s, func(key string) {
			kv, _, _ := s.Get(context.Background(), key, 0)
			if _, err := e.Client().TimeToLive(context.Background(), 0); kv == nil || err != nil {
				t.Errorf("no lease at %s: %v", key, err)
			}
			del(t, s, key)
		})
	})
}

func TestLeadersFollowEachOther(t *testing.T) {
	elections(t, func(t *testing.T, s store.Store, _ func(string)) {
		type tenure struct {
			who string
			r   *Registry
		}
		leads := make(chan tenure)
		candidate := func(who string) (resign func()) {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			r := New(Config{Store: s, Kinds: testKinds, Log: slog.New(slog.DiscardHandler)})
			go func() {
				done <- r.Lead(ctx, "scheduler", who, func(ctx context.Context, r *Registry) error {
					leads <- tenure{who, r}
					<-ctx.Done()
					return nil
				})
			}()
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Lead of %s: %v", who, err)
				}
			}
		}
		resignA := candidate("a")
		first := <-leads
		resignB := candidate("b")
		if _, err := first.r.store.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x", Value: []byte("1")}}}); err != nil {
			t.Errorf("a leader's write: %v", err)
		}
		resignA()
		second := <-leads
		if first.who != "a" || second.who != "b" {
			t.Errorf("%s led, then %s", first.who, second.who)
		}
		_, err := first.r.store.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x", Value: []byte("2")}}})
		if !errors.Is(err, Conflict) {
			t.Errorf("a deposed leader's write: %v, want Conflict", err)
		}
		if _, err := second.r.store.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x", Value: []byte("3")}}}); err != nil {
			t.Errorf("the new leader's write: %v", err)
		}
		kv, _, err := s.Get(testContext(t), "/x", 0)
		if err != nil || string(kv.Value) != "3" {
			t.Errorf("the key holds %s, %v", kv.Value, err)
		}
		resignB()
		kvs, _, _, err := s.List(testContext(t), electionPrefix, store.RangeEnd(electionPrefix), 0, 0)
		if err != nil || len(kvs) != 0 {
			t.Errorf("candidates left: %v, %v", kvs, err)
		}
	})
}

func TestDeposedLeaderCampaignsAgain(t *testing.T) {
	elections(t, func(t *testing.T, s store.Store, expire func(string)) {
		ctx, cancel := context.WithCancel(context.Background())
		r := New(Config{Store: s, Kinds: testKinds, Log: slog.New(slog.DiscardHandler)})
		leads := make(chan *Registry)
		done := make(chan error, 1)
		ended := 0
		go func() {
			done <- r.Lead(ctx, "controllers", "a", func(ctx context.Context, r *Registry) error {
				select {
				case leads <- r:
				case <-ctx.Done():
				}
				<-ctx.Done()
				ended++
				return nil
			})
		}()
		first := <-leads
		kvs, _, _, err := s.List(testContext(t), electionPrefix, store.RangeEnd(electionPrefix), 0, 0)
		if err != nil || len(kvs) != 1 || !strings.HasPrefix(kvs[0].Key, "/gantry/election/controllers/") || string(kvs[0].Value) != `{"holder":"a"}` {
			t.Fatalf("candidates %v, %v", kvs, err)
		}
		if want := fmt.Sprintf("%s%x", "/gantry/election/controllers/", kvs[0].Lease); kvs[0].Key != want {
			t.Errorf("the key is %s, want %s", kvs[0].Key, want)
		}
		expire(kvs[0].Key)
		second := <-leads
		if _, err := first.store.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x"}}}); !errors.Is(err, Conflict) {
			t.Errorf("a write of the first term: %v, want Conflict", err)
		}
		if _, err := second.store.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x"}}}); err != nil {
			t.Errorf("a write of the second term: %v", err)
		}
		cancel()
		if err := <-done; err != nil || ended != 2 {
			t.Errorf("Lead: %v, %d terms ended", err, ended)
		}
	})
}

func TestLeadReturnsItsError(t *testing.T) {
	r := New(Config{Store: store.NewFake(), Kinds: testKinds, Log: slog.New(slog.DiscardHandler)})
	boom := errors.New("boom")
	if err := r.Lead(testContext(t), "x", "a", func(context.Context, *Registry) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Lead: %v", err)
	}
}

func TestOlderBinaryStandsAside(t *testing.T) {
	s := store.NewFake()
	r := runRegistry(t, Config{Store: s, Kinds: testKinds, Quarantine: true, Log: slog.New(slog.DiscardHandler)})
	write := func() error {
		_, err := r.store.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x"}}})
		return err
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "/gantry/version", fmt.Sprintf(`{"rules":%d}`, rulesVersion+1))
	err := write()
	if !errors.Is(err, Unavailable) || !strings.Contains(err.Error(), "stands aside") {
		t.Errorf("a write under newer rules: %v", err)
	}
	if err := r.Ready(testContext(t)); err == nil || !strings.Contains(err.Error(), "stands aside") {
		t.Errorf("Ready under newer rules: %v", err)
	}
	if _, err := r.List(testContext(t), podKind, "", ListOptions{}); err != nil {
		t.Errorf("a read under newer rules: %v", err)
	}
	put(t, s, "/gantry/version", `{"rules":1}`)
	if err := write(); err != nil {
		t.Errorf("a write after the rules went back: %v", err)
	}
	put(t, s, "/gantry/version", "rubbish")
	if err := write(); err != nil {
		t.Errorf("a write under rubbish: %v", err)
	}
}
