package kubelet

import "context"

// turn makes a pod's containers start in the order of its spec, each after the postStart handler of the one before: a proxy that
// comes first is up before what it serves. Only starts that are under way when this one begins are waited for; one that fails lets
// the next go on, and one that waits for its back-off holds up nobody.
type turn struct {
	// earlier are closed when the starts of containers before this one are over, handlers and all.
	earlier []<-chan struct{}
	// hooked: one of them has a postStart handler.
	hooked bool
}

// turnOf is the turn of a container that is about to start.
func (w *worker) turnOf(name string) turn {
	var t turn
	for _, m := range members(w.pod) {
		if m.Name == name {
			break
		}
		if j := w.jobs[m.Name]; j != nil && j.do == doStart {
			t.earlier = append(t.earlier, j.over)
			t.hooked = t.hooked || j.hooked
		}
	}
	return t
}

// untilCreate waits until the container may be made. That overlaps the earlier starts, unless a handler is among them: what
// it leaves (a file that is mounted by its subPath) must be there.
func (t turn) untilCreate(ctx context.Context) error {
	if !t.hooked {
		return nil
	}
	return t.untilStart(ctx)
}

// untilStart waits until the container may be started.
func (t turn) untilStart(ctx context.Context) error {
	for _, over := range t.earlier {
		select {
		case <-over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
