package gateway

import "testing"

func TestPlacesAreShared(t *testing.T) {
	p := newPlaces(8)
	for i := range 6 {
		if !p.enter("greedy") {
			t.Fatalf("a user alone gets %d places of 8", i)
		}
	}
	if p.enter("greedy") {
		t.Error("a user takes the places that are left for others")
	}
	for range 2 {
		if !p.enter("other") {
			t.Error("the other user has no place")
		}
	}
	if p.enter("third") {
		t.Error("there are more places than there are")
	}
	p.leave("greedy")
	if p.enter("greedy") || !p.enter("third") {
		t.Error("the place given back is not for the one without any")
	}
	for user, n := range map[string]int{"greedy": 5, "other": 2, "third": 1} {
		for range n {
			p.leave(user)
		}
	}
	if p.held != 0 || len(p.by) != 0 {
		t.Errorf("%d places are held, by %v", p.held, p.by)
	}
}

func TestFewPlacesAreNotShared(t *testing.T) {
	p := newPlaces(1)
	if !p.enter("a") || p.enter("b") {
		t.Error("one place is not one place")
	}
}
