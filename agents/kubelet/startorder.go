package kubelet

import (
	"context"

	"gantry/agents/kubelet/podstate"
)

// startOrder makes a pod's containers start in the order of its spec, each after the postStart handler of the one before: a proxy that
// comes first is up before what it serves. Only starts that are under way when this one begins are waited for: a start that fails lets
// the next go on, and a container in its back-off delays no other.
type startOrder struct {
	// earlier are closed when the starts of containers before this one are done, handlers included.
	earlier []<-chan struct{}
	// hooked: one of them has a postStart handler.
	hooked bool
}

// startOrderOf is the start order of a container that is about to start; an ephemeral one waits for no other.
func (w *worker) startOrderOf(name string) startOrder {
	var o startOrder
	if m, ok := podstate.MemberNamed(w.pod, name); ok && m.Role == podstate.RoleEphemeral {
		return o
	}
	for _, m := range podstate.Members(w.pod) {
		if m.Name == name {
			break
		}
		if j := w.jobs[m.Name]; j != nil && j.do == doStart {
			o.earlier = append(o.earlier, j.done)
			o.hooked = o.hooked || j.hooked
		}
	}
	return o
}

// untilCreate waits until the container may be created. That overlaps the earlier starts, unless a handler is among them: what
// it leaves (a file that is mounted by its subPath) must be there.
func (o startOrder) untilCreate(ctx context.Context) error {
	if !o.hooked {
		return nil
	}
	return o.untilStart(ctx)
}

// untilStart waits until the container may be started.
func (o startOrder) untilStart(ctx context.Context) error {
	for _, done := range o.earlier {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
