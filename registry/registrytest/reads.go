package registrytest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"gantry/registry"
)

// Names are the names of a list's items: "a b c".
func Names(l registry.List) string {
	var names []string
	for _, it := range l.Items {
		names = append(names, it.Name)
	}
	return strings.Join(names, " ")
}

// Next reads n events.
func Next(t testing.TB, w *registry.Watcher, n int) []registry.Event {
	t.Helper()
	ctx := Context(t)
	var events []registry.Event
	for len(events) < n {
		var err error
		if events, err = w.Next(ctx, events); err != nil {
			t.Fatalf("after %v: %v", Show(events), err)
		}
	}
	return events
}

// Show is events as text: "ADDED web 5".
func Show(events []registry.Event) []string {
	var texts []string
	for _, e := range events {
		name := ""
		if e.Item != nil {
			name = e.Item.Name
		}
		texts = append(texts, fmt.Sprintf("%s %s %d", e.Type, name, e.Revision))
	}
	return texts
}

// WaitFor asks until f holds; the error is that of ctx.
func WaitFor(ctx context.Context, f func() bool) error {
	for !f() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		runtime.Gosched()
	}
	return nil
}
