package loop

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"gantry/registry"
)

// run reconciles keys in a synctest bubble for d, and returns the reconciled keys and their times, in order.
func run(t *testing.T, d time.Duration, keys []string, reconcile func(n int, key string) (time.Duration, error)) (seen []string, at []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		l := New("test", 1, slog.New(slog.DiscardHandler), func(_ context.Context, key string) (time.Duration, error) {
			seen, at = append(seen, key), append(at, time.Since(begin))
			return reconcile(len(seen), key)
		})
		for _, k := range keys {
			l.Add(k)
		}
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return seen, at
}

func TestManyChangesAreOneReconcile(t *testing.T) {
	seen, _ := run(t, time.Second, []string{"a", "a", "b", "a"}, func(int, string) (time.Duration, error) { return 0, nil })
	if len(seen) != 2 {
		t.Errorf("reconciled %v, want a and b once each", seen)
	}
}

func TestAfterAddsTheKeyAgain(t *testing.T) {
	_, at := run(t, 25*time.Second, []string{"a"}, func(int, string) (time.Duration, error) { return 10 * time.Second, nil })
	if len(at) != 3 || at[2] != 20*time.Second {
		t.Errorf("reconciled at %v, want 0, 10 s and 20 s", at)
	}
}

func TestErrorsBackOff(t *testing.T) {
	cases := []struct {
		name string
		err  error
		want int // reconciles within 100 ms: 0, 5, 15, 35, 75 ms
	}{
		{"an error", errors.New("x"), 5},
		{"a conflict", &registry.Error{Kind: registry.Conflict}, 5},
		{"a terminal error", Terminal(errors.New("x")), 1},
	}
	for _, tc := range cases {
		seen, _ := run(t, 100*time.Millisecond, []string{"bad"}, func(int, string) (time.Duration, error) { return 0, tc.err })
		if len(seen) != tc.want {
			t.Errorf("%s: %d reconciles, want %d", tc.name, len(seen), tc.want)
		}
	}
}

func TestAPanicIsAnError(t *testing.T) {
	seen, _ := run(t, 4*time.Millisecond, []string{"bad", "good"}, func(_ int, key string) (time.Duration, error) {
		if key == "bad" {
			panic("hostile")
		}
		return 0, nil
	})
	if len(seen) != 2 || seen[1] != "good" {
		t.Errorf("reconciled %v with a panic, want bad, good", seen)
	}
}
