package leaktest

import (
	"strings"
	"testing"
	"time"
)

func wait(end <-chan struct{}) { <-end }

func TestWhatIsLeft(t *testing.T) {
	before := map[string]bool{}
	for _, g := range goroutines() {
		before[id(g)] = true
	}
	end := make(chan struct{})
	go wait(end)
	if left := await(before, 50*time.Millisecond); len(left) != 1 || !strings.Contains(left[0], "leaktest.wait") {
		t.Errorf("left are %q, want the one that waits", left)
	}
	close(end)
	if left := await(before, timeout); len(left) != 0 {
		t.Errorf("left are %q, want none", left)
	}
}
