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
	m := NewCopies()
	copyOf := func(pod string) string { return Root + "n1/pods/" + pod }
	m.setPod("d/good", &wanted{key: copyOf("d/good"), rev: 5}, start)
	m.setPod("d/missing", &wanted{key: copyOf("d/missing"), rev: 6}, start)
	m.setPod("d/old", &wanted{key: copyOf("d/old"), rev: 7}, start)
	m.setPod("d/unbound", &wanted{}, start)
	if pods := m.due(later, nil); len(pods) != 0 {
		t.Errorf("%v are due before the copies are listed", pods)
	}
	m.setCopy("d/good", copyOf("d/good"), 5, start)
	m.setCopy("d/old", copyOf("d/old"), 3, start)
	m.setCopy("d/orphan", copyOf("d/orphan"), 4, start)
	m.endList(start)
	if pods := m.due(start, nil); len(pods) != 0 {
		t.Errorf("%v are due at once", pods)
	}
	pods := m.due(later, nil)
	slices.Sort(pods)
	if fmt.Sprint(pods) != "[d/missing d/old d/orphan]" {
		t.Errorf("%v are due", pods)
	}
	m.postpone("d/old", later)
	m.deleteCopy("d/orphan", copyOf("d/orphan"), later)
	if pods := m.due(later, nil); fmt.Sprint(pods) != "[d/missing]" {
		t.Errorf("%v are due", pods)
	}
	if !m.Has("d", "old", 0) || m.Has("d", "missing", 0) || m.Has("d", "orphan", 0) {
		t.Error("Has is wrong about which pods have a copy")
	}
	m.setPod("d/old", nil, later)
	if pods := m.due(later.Add(settleTime), map[string]bool{"d/old": true}); fmt.Sprint(pods) != "[d/missing]" {
		t.Errorf("%v are due while d/old is held", pods)
	}
	if state, settled := m.vanished(later); settled || len(state.owners) != 1 {
		t.Errorf("%v vanished and settled at once", state)
	}
	if state, settled := m.vanished(later.Add(settleTime)); !settled || len(state.owners) != 1 || state.total != 2 {
		t.Errorf("%v vanished, settled %v", state, settled)
	}
	m.setOrdinary("d/old")
	if state, _ := m.vanished(later.Add(settleTime)); m.Has("d", "old", 0) || len(state.owners) != 0 {
		t.Errorf("a pod that did not vanish: %v", state)
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
