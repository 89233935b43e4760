package writequeue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

// TestOneWriterOfAKey checks that one writer at a time holds a key, and that a key without waiting writers is not contended.
func TestOneWriterOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queues
		leave, err := q.Enter(t.Context(), "a")
		if err != nil || !q.Contended("a") || q.Contended("b") {
			t.Fatalf("Enter: %v, contended %v, %v", err, q.Contended("a"), q.Contended("b"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := q.Enter(ctx, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("a writer that gave up: %v", err)
			}
		})
		second := false
		wg.Go(func() {
			leave, err := q.Enter(t.Context(), "a")
			if err != nil {
				t.Error(err)
			}
			second = true
			leave()
		})
		synctest.Wait()
		if second {
			t.Error("two writers have the token")
		}
		cancel()
		synctest.Wait()
		leave()
		wg.Wait()
		if !second || q.Contended("a") {
			t.Errorf("second %v, contended %v at the end", second, q.Contended("a"))
		}
	})
}

// TestRivalsOfARevision checks that writers that replace the same revision of a key take turns, and that writers that replace different
// ones do not wait.
func TestRivalsOfARevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queues
		release, err := q.Acquire(t.Context(), "a", 5)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := q.Acquire(t.Context(), "b", 5); err != nil {
			t.Fatal(err)
		} else {
			other()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := q.Acquire(ctx, "a", 5); !errors.Is(err, context.Canceled) {
			t.Errorf("a rival that gave up: %v", err)
		}
		acquired := false
		go func() {
			next, err := q.Acquire(t.Context(), "a", 5)
			if err != nil {
				t.Error(err)
				return
			}
			acquired = true
			next()
		}()
		synctest.Wait()
		if acquired {
			t.Error("two writers replace one revision")
		}
		release()
		synctest.Wait()
		if !acquired {
			t.Error("the rival still waits")
		}
	})
}
