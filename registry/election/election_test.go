package election_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gantry/registry/election"
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
			if _, err := s.Commit(testContext(t), store.Txn{Deletes: []string{key}}); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func TestLeadersFollowEachOther(t *testing.T) {
	elections(t, func(t *testing.T, s store.Store, _ func(string)) {
		type tenure struct {
			who    string
			fenced store.Store
		}
		leads := make(chan tenure)
		candidate := func(who string) (resign func()) {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			c := election.Candidate{Store: s, Name: "scheduler", ID: who, Log: slog.New(slog.DiscardHandler)}
			go func() {
				done <- c.Lead(ctx, func(ctx context.Context, fenced store.Store) error {
					leads <- tenure{who, fenced}
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
		if _, err := first.fenced.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x", Value: []byte("1")}}}); err != nil {
			t.Errorf("a leader's write: %v", err)
		}
		resignA()
		second := <-leads
		if first.who != "a" || second.who != "b" {
			t.Errorf("%s led, then %s", first.who, second.who)
		}
		_, err := first.fenced.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x", Value: []byte("2")}}})
		if !errors.Is(err, store.Conflict) {
			t.Errorf("a deposed leader's write: %v, want Conflict", err)
		}
		if _, err := second.fenced.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x", Value: []byte("3")}}}); err != nil {
			t.Errorf("the new leader's write: %v", err)
		}
		kv, _, err := s.Get(testContext(t), "/x", 0)
		if err != nil || string(kv.Value) != "3" {
			t.Errorf("the key holds %s, %v", kv.Value, err)
		}
		resignB()
		kvs, _, _, err := s.List(testContext(t), election.Prefix, store.RangeEnd(election.Prefix), 0, 0)
		if err != nil || len(kvs) != 0 {
			t.Errorf("candidates left: %v, %v", kvs, err)
		}
	})
}

func TestDeposedLeaderCampaignsAgain(t *testing.T) {
	elections(t, func(t *testing.T, s store.Store, expire func(string)) {
		ctx, cancel := context.WithCancel(context.Background())
		c := election.Candidate{Store: s, Name: "controllers", ID: "a", Log: slog.New(slog.DiscardHandler)}
		leads := make(chan store.Store)
		done := make(chan error, 1)
		ended := 0
		go func() {
			done <- c.Lead(ctx, func(ctx context.Context, fenced store.Store) error {
				select {
				case leads <- fenced:
				case <-ctx.Done():
				}
				<-ctx.Done()
				ended++
				return nil
			})
		}()
		first := <-leads
		kvs, _, _, err := s.List(testContext(t), election.Prefix, store.RangeEnd(election.Prefix), 0, 0)
		if err != nil || len(kvs) != 1 || !strings.HasPrefix(kvs[0].Key, "/gantry/election/controllers/") || string(kvs[0].Value) != `{"holder":"a"}` {
			t.Fatalf("candidates %v, %v", kvs, err)
		}
		if want := fmt.Sprintf("%s%x", "/gantry/election/controllers/", kvs[0].Lease); kvs[0].Key != want {
			t.Errorf("the key is %s, want %s", kvs[0].Key, want)
		}
		expire(kvs[0].Key)
		second := <-leads
		if _, err := first.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x"}}}); !errors.Is(err, store.Conflict) {
			t.Errorf("a write of the first term: %v, want Conflict", err)
		}
		if _, err := second.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x"}}}); err != nil {
			t.Errorf("a write of the second term: %v", err)
		}
		cancel()
		if err := <-done; err != nil || ended != 2 {
			t.Errorf("Lead: %v, %d terms ended", err, ended)
		}
	})
}

func TestLeadReturnsItsError(t *testing.T) {
	c := election.Candidate{Store: store.NewFake(), Name: "x", ID: "a", Log: slog.New(slog.DiscardHandler)}
	boom := errors.New("boom")
	if err := c.Lead(testContext(t), func(context.Context, store.Store) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Lead: %v", err)
	}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
