package bynode

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestMismatches(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	later := start.Add(2 * settleTime)
	m := newMismatches()
	copyOf := func(pod string) string { return Root + "n1/pods/" + pod }
	m.setPod("d/good", &wanted{copyOf("d/good"), 5}, start)
	m.setPod("d/missing", &wanted{copyOf("d/missing"), 6}, start)
	m.setPod("d/old", &wanted{copyOf("d/old"), 7}, start)
	m.setPod("d/unbound", &wanted{}, start)
	if pods, _ := m.due(later); len(pods) != 0 {
		t.Errorf("%v are due before the copies are listed", pods)
	}
	m.setCopy("d/good", copyOf("d/good"), 5, start)
	m.setCopy("d/old", copyOf("d/old"), 3, start)
	m.setCopy("d/orphan", copyOf("d/orphan"), 4, start)
	m.endList(start)
	if pods, _ := m.due(start); len(pods) != 0 {
		t.Errorf("%v are due at once", pods)
	}
	pods, kept := m.due(later)
	slices.Sort(pods)
	if fmt.Sprint(pods) != "[d/missing d/old d/orphan]" || kept != 0 {
		t.Errorf("%v are due, %d kept", pods, kept)
	}
	m.postpone("d/old", later)
	m.deleteCopy("d/orphan", copyOf("d/orphan"), later)
	if pods, _ := m.due(later); fmt.Sprint(pods) != "[d/missing]" {
		t.Errorf("%v are due", pods)
	}
	// Many orphans at once are kept.
	for i := range 20 {
		pod := fmt.Sprintf("d/p%d", i)
		m.setCopy(pod, copyOf(pod), 9, start)
	}
	pods, kept = m.due(later)
	if fmt.Sprint(pods) != "[d/missing]" || kept != 20 {
		t.Errorf("%v are due, %d kept", pods, kept)
	}
}

func TestKeys(t *testing.T) {
	key := Key("n1", "ns", "web")
	if pod, ok := podOf(key); key != "/gantry/bynode/n1/pods/ns/web" || !ok || pod != "ns/web" {
		t.Errorf("%s is of %s, %v", key, pod, ok)
	}
	for _, node := range []string{"", "a/b", ".."} {
		if key := Key(node, "ns", "web"); key != "" {
			t.Errorf("node %q has %s", node, key)
		}
	}
	if pod, ok := podOf(Root + "n1/other"); ok {
		t.Errorf("another key is of %s", pod)
	}
}
