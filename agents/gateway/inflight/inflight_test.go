package inflight

import "testing"

func TestLimitIsShared(t *testing.T) {
	l := New(8)
	for i := range 6 {
		if !l.Acquire("greedy") {
			t.Fatalf("a user alone gets %d places of 8", i)
		}
	}
	if l.Acquire("greedy") {
		t.Error("a user takes the places that are left for others")
	}
	for range 2 {
		if !l.Acquire("other") {
			t.Error("the other user has no place")
		}
	}
	if l.Acquire("third") {
		t.Error("there are more places than 8")
	}
	l.Release("greedy")
	if l.Acquire("greedy") || !l.Acquire("third") {
		t.Error("the place given back is not for the one without any")
	}
	for user, n := range map[string]int{"greedy": 5, "other": 2, "third": 1} {
		for range n {
			l.Release(user)
		}
	}
	if l.held != 0 || len(l.by) != 0 {
		t.Errorf("%d places are held, by %v", l.held, l.by)
	}
}

func TestSmallLimitIsNotShared(t *testing.T) {
	l := New(1)
	if !l.Acquire("a") || l.Acquire("b") {
		t.Error("one place is not one place")
	}
}
