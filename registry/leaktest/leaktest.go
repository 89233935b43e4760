// Package leaktest fails a package whose tests leak goroutines. It is for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }
package leaktest

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// timeout is how long goroutines may take to end after the last test.
const timeout = 20 * time.Second

// Run runs the tests and returns the code to exit with: 1 where they pass but goroutines of theirs still run.
func Run(m *testing.M) int {
	before := map[string]bool{}
	for _, g := range goroutines() {
		before[id(g)] = true
	}
	code := m.Run()
	if code != 0 {
		return code
	}
	left := await(before, timeout)
	if len(left) == 0 {
		return 0
	}
	fmt.Fprintf(os.Stderr, "FAIL: the tests left %d goroutines behind:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
	return 1
}

// await waits for all goroutines to end but those of before and returns those that do not.
func await(before map[string]bool, timeout time.Duration) (left []string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(timeout); ; <-tick.C {
		http.DefaultClient.CloseIdleConnections()
		left = left[:0]
		for _, g := range goroutines() {
			if !before[id(g)] && !lasting(g) {
				left = append(left, g)
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// goroutines are the stacks of all goroutines but this one.
func goroutines() []string {
	b := make([]byte, 1<<20)
	for n := runtime.Stack(b, true); ; n = runtime.Stack(b, true) {
		if n < len(b) {
			return strings.Split(strings.TrimSpace(string(b[:n])), "\n\n")[1:]
		}
		b = make([]byte, 2*len(b))
	}
}

// id is "goroutine 7" of a stack.
func id(stack string) string {
	head, _, _ := strings.Cut(stack, " [")
	return head
}

// lasting tells whether a goroutine is one that a library starts at its first use and that never ends.
func lasting(stack string) bool {
	for _, started := range []string{
		"created by os/signal.Notify",
		"created by testing.",
		"created by k8s.io/klog/v2.",
		"created by runtime.",
		"os/signal.signal_recv",
	} {
		if strings.Contains(stack, started) {
			return true
		}
	}
	return false
}
