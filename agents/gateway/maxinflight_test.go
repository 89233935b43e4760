package gateway

import "testing"

func TestMaxInFlightIsShared(t *testing.T) {
	p := newMaxInFlight(8)
	for i := range 6 {
		if !p.acquire("greedy") {
			t.Fatalf("a user alone gets %d maxInFlight of 8", i)
		}
	}
	if p.acquire("greedy") {
		t.Error("a user takes the maxInFlight that are left for others")
	}
	for range 2 {
		if !p.acquire("other") {
			t.Error("the other user has no place")
		}
	}
	if p.acquire("third") {
		t.Error("there are more maxInFlight than there are")
	}
	p.release("greedy")
	if p.acquire("greedy") || !p.acquire("third") {
		t.Error("the place given back is not for the one without any")
	}
	for user, n := range map[string]int{"greedy": 5, "other": 2, "third": 1} {
		for range n {
			p.release(user)
		}
	}
	if p.held != 0 || len(p.by) != 0 {
		t.Errorf("%d maxInFlight are held, by %v", p.held, p.by)
	}
}

func TestSmallMaxInFlightIsNotShared(t *testing.T) {
	p := newMaxInFlight(1)
	if !p.acquire("a") || p.acquire("b") {
		t.Error("one place is not one place")
	}
}
