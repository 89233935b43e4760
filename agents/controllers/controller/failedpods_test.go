package controller

import (
	"testing"
	"time"
)

func TestFailedPodsAreHeldBack(t *testing.T) {
	b := &FailedPods{}
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900} {
		if wait := b.Wait("n1", now); wait != 0 {
			t.Fatalf("the failed pod stays for %s more, want it to go", wait)
		}
		b.Count("n1", now)
		if got := b.Wait("n1", now); got != want*time.Second {
			t.Fatalf("the next one stays for %s, want %ds", got, want)
		}
		now = now.Add(want * time.Second)
	}
	now = now.Add(2 * lastFailureWait)
	b.Count("n2", now)
	if b.Count("n1", now); len(b.byKey) != 2 || b.Wait("n1", now) != time.Second {
		t.Errorf("after a long time without failures: %v", b.byKey)
	}
}
