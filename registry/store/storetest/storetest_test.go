package storetest

import (
	"context"
	"log/slog"
	"testing"

	"gantry/registry/embedded"
	"gantry/registry/store"
)

func TestFake(t *testing.T) {
	Run(t, func(*testing.T) Env {
		f := store.NewFake()
		return Env{Store: f, Compact: f.Compact}
	})
}

func TestEtcd(t *testing.T) {
	Run(t, func(t *testing.T) Env {
		e, err := embedded.Open(embedded.Config{Dir: t.TempDir(), NoSync: true, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		return Env{
			Store: store.NewEtcd(e.Client(), e.Client()),
			Compact: func(rev int64) {
				if _, err := e.Client().Compact(context.Background(), rev); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
