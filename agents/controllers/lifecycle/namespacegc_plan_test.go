package lifecycle

import (
	"slices"
	"testing"
	"time"

	"gantry/agents/controllers/plantest"
)

func TestNamespaceGCPlans(t *testing.T) {
	c := &namespaceGC{missing: map[string]time.Time{}}
	set := func(names ...string) map[string]bool {
		m := map[string]bool{}
		for _, n := range names {
			m[n] = true
		}
		return m
	}
	for i, step := range []struct {
		missing map[string]bool
		there   int
		after   time.Duration
		due     []string
		held    int
	}{
		{set("a"), 10, 0, nil, 0},
		{set("a", "b"), 10, missingFor - 1, nil, 0},
		{set("a", "b"), 10, missingFor, []string{"a"}, 0},
		{set("b"), 10, missingFor, nil, 0}, // a came back
		{set("a", "b", "c"), 0, 2 * missingFor, []string{"b"}, 0},
		{set("a", "b", "c", "d"), 35, 3 * missingFor, nil, 4},
		{set("a", "b", "c", "d"), 40, 4 * missingFor, []string{"a", "b", "c", "d"}, 0},
	} {
		due, held := c.due(step.missing, step.there, plantest.Now.Add(step.after))
		if !slices.Equal(due, step.due) || held != step.held {
			t.Errorf("step %d: due %v, held %d; want %v, %d", i, due, held, step.due, step.held)
		}
	}
}
