package whatif

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/admin/explain"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// Drain cordons a node and evicts its pods as `kubectl drain --ignore-daemonsets` does, asking their disruption budgets again after each
// change, and reports where each pod goes. Pods without a controller and pods with an emptyDir are evicted too, and the report says so.
func Drain(ctx context.Context, c *Cluster, node string) ([]explain.Line, error) {
	_, err := registry.For[*corev1.Node](c.registry).Modify(ctx, "", node, func(n *corev1.Node) error {
		n.Spec.Unschedulable = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	before, err := c.all(ctx)
	if err != nil {
		return nil, err
	}
	d := &drain{cluster: c, node: node, refused: map[types.UID]error{}, evicted: map[types.UID]bool{}}
	for _, p := range before {
		switch {
		case p.Spec.NodeName != node || pods.IsTerminal(p):
		case staysBecause(p) != "":
			d.stay = append(d.stay, p)
		default:
			d.leave = append(d.leave, p)
		}
	}
	if err := c.untilSettled(ctx, func() (bool, error) { return d.evict(ctx) }); err != nil {
		return nil, err
	}
	after, err := c.all(ctx)
	if err != nil {
		return nil, err
	}
	return d.report(newMoves(before, after)), nil
}

// drain is what has come of the pods of a node.
type drain struct {
	cluster     *Cluster
	node        string
	leave, stay []*corev1.Pod
	refused     map[types.UID]error // of leave, those that cannot be evicted
	evicted     map[types.UID]bool
}

// staysBecause is why drain leaves a pod where it is; "": it does not.
func staysBecause(p *corev1.Pod) string {
	owner := metav1.GetControllerOf(p)
	switch {
	case pods.IsMirror(p.Annotations):
		return "it is a static pod of the node"
	case owner != nil && owner.Kind == "DaemonSet":
		return fmt.Sprintf("DaemonSet %s wants it there, cordoned or not", owner.Name)
	case p.DeletionTimestamp != nil:
		return "it is being deleted, and its node does not answer"
	}
	return ""
}

// evict evicts every pod whose budget allows it now; it returns whether all are evicted.
func (d *drain) evict(ctx context.Context) (bool, error) {
	for _, p := range d.leave {
		if d.evicted[p.UID] {
			continue
		}
		_, _, err := d.cluster.registry.Delete(ctx, core.Pod, p.Namespace, p.Name, registry.DeleteOptions{Subresource: "eviction", UID: string(p.UID)})
		switch {
		case err == nil || errors.Is(err, registry.NotFound):
			d.evicted[p.UID] = true
			delete(d.refused, p.UID)
		case ctx.Err() != nil:
			return false, err
		default:
			d.refused[p.UID] = err
		}
	}
	return len(d.refused) == 0, nil
}

func (d *drain) report(m moves) []explain.Line {
	var r explain.Report
	add := func(depth int, wanted bool, format string, args ...any) { r.Add(depth, wanted, nil, format, args...) }
	homeless := 0
	for _, p := range d.leave {
		if d.refused[p.UID] != nil {
			add(1, false, "%s is not evicted: %s", title(p), refusal(d.refused[p.UID]))
			continue
		}
		next := m.paired[p.UID]
		owner := metav1.GetControllerOf(p)
		switch {
		case owner == nil:
			add(1, false, "%s is lost: no controller makes it anew (kubectl drain asks for --force)", title(p))
		case next == nil:
			add(1, false, "%s ends, and its %s %s does not make it anew yet", title(p), owner.Kind, owner.Name)
		case next.Spec.NodeName != "":
			add(1, true, "%s is made anew on %s", title(p), next.Spec.NodeName)
		default:
			homeless++
			add(1, false, "%s is made anew and finds no node: %s", title(p), whyPending(next))
		}
		if v := emptyDir(p); v != "" {
			add(2, true, "the data of its emptyDir %q is lost (kubectl drain asks for --delete-emptydir-data)", v)
		}
	}
	for _, p := range d.stay {
		add(1, true, "%s stays: %s", title(p), staysBecause(p))
	}
	gone := m.otherGone(d.evicted)
	for _, p := range gone {
		add(1, false, "%s on %s is preempted: a pod of higher priority takes its place", title(p), p.Spec.NodeName)
	}
	head := explain.Line{
		Wanted: len(d.refused) == 0 && homeless == 0 && len(gone) == 0,
		Text:   fmt.Sprintf("draining %s: %d of %d pods leave it, %d find no node, %d stay", d.node, len(d.leave)-len(d.refused), len(d.leave)+len(d.stay), homeless, len(d.stay)),
	}
	return append([]explain.Line{head}, r.Lines...)
}

// refusal is an eviction's error with its causes, which name the budget.
func refusal(err error) string {
	var e *registry.Error
	if !errors.As(err, &e) || e.Reason == "" {
		return err.Error()
	}
	text := e.Reason
	for _, c := range e.Causes {
		text += " " + c.Message
	}
	return text
}

// emptyDir is the name of a volume whose data ends with the pod; "": there is none.
func emptyDir(p *corev1.Pod) string {
	for i := range p.Spec.Volumes {
		if v := &p.Spec.Volumes[i]; v.EmptyDir != nil {
			return v.Name
		}
	}
	return ""
}
