package bynode

import (
	"fmt"
	"testing"
)

func TestToHold(t *testing.T) {
	for _, c := range []struct {
		name     string
		vanished map[string]int // pods by their owner
		bound    map[string]int // pods that are there, by their owner
		others   int            // bound pods without an owner
		want     int            // pods held
	}{
		{"nothing", nil, map[string]int{"a": 3}, 0, 0},
		{"all six of a small cluster", map[string]int{"a": 6}, nil, 0, 6},
		{"five of fourteen pods, of many owners", map[string]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, nil, 9, 5},
		{"five of fifteen", map[string]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, nil, 10, 0},
		{"four of four, of two owners", map[string]int{"a": 2, "b": 2}, nil, 0, 0},
		{"eleven of a hundred", map[string]int{"a": 11}, map[string]int{"a": 20}, 69, 11},
		{"eleven of a hundred and ten", map[string]int{"a": 11}, map[string]int{"a": 20}, 79, 0},
		{"three of an owner's five, and one of another", map[string]int{"a": 3, "b": 1}, map[string]int{"a": 2, "b": 9}, 500, 3},
		{"three of an owner's six", map[string]int{"a": 3}, map[string]int{"a": 3}, 500, 0},
		{"both pods of an owner", map[string]int{"a": 2}, nil, 500, 0},
		{"pods of no owner are no owner's", map[string]int{"": 4}, nil, 500, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := vanishedState{owners: map[string]string{}, bound: c.bound, total: c.others}
			for owner, n := range c.vanished {
				for i := range n {
					s.owners[fmt.Sprintf("d/%s-%d", owner, i)] = owner
				}
				s.total += n
			}
			for _, n := range c.bound {
				s.total += n
			}
			if got := s.toHold(); len(got) != c.want {
				t.Errorf("%d pods are held, want %d: %v", len(got), c.want, got)
			}
		})
	}
}
