package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/admin/placement"
	"gantry/agents/admin/snapshot"
	"gantry/registry"
	"gantry/registry/election"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/batch"
	"gantry/schema/core"
)

// explainer explains one object of a snapshot.
type explainer struct {
	*snapshot.Snapshot
	report   Report
	now      time.Time
	registry *registry.Registry
	cluster  *placement.Cluster // nil: not needed yet
}

// explainerOf returns how objects of a kind are explained; nil: they are said to exist, or why they are being deleted.
func explainerOf(k *schema.Kind) func(x *explainer, depth int, e *snapshot.Entry) {
	switch k {
	case core.Pod:
		return (*explainer).pod
	case core.Service:
		return (*explainer).service
	case core.Node:
		return (*explainer).node
	case core.Namespace:
		return (*explainer).namespace
	case core.PersistentVolumeClaim:
		return (*explainer).claim
	case core.ReplicationController:
		return (*explainer).replicationController
	case apps.Deployment:
		return (*explainer).deployment
	case apps.ReplicaSet:
		return (*explainer).replicaSet
	case apps.StatefulSet:
		return (*explainer).statefulSet
	case apps.DaemonSet:
		return (*explainer).daemonSet
	case batch.Job:
		return (*explainer).job
	case batch.CronJob:
		return (*explainer).cronJob
	}
	return nil
}

// Explain explains an object. r is where the scheduler's plug-ins read objects that are not nodes, pods or namespaces. It returns nil where
// the object does not exist.
func Explain(s *snapshot.Snapshot, r *registry.Registry, k *schema.Kind, namespace, name string, now time.Time) *Report {
	x := &explainer{Snapshot: s, now: now, registry: r, report: Report{Revision: s.Revision}}
	e := s.Get(k, namespace, name)
	if e == nil {
		key := registry.Key(k, namespace, name)
		bad := s.Unreadable(k, key)
		if bad == nil && x.vanishedPod(k, namespace, name) {
			return &x.report
		}
		if bad == nil {
			return nil
		}
		x.report.Lines = append(x.report.Lines, Line{Key: key, Revision: bad.Revision,
			Text: fmt.Sprintf("the value of %s %q cannot be read, every agent leaves it out: %v (gantry undo %s)", k.GR(), name, bad.Err, key)})
		return &x.report
	}
	x.namespaceMissing(namespace)
	if f := explainerOf(k); f != nil {
		f(x, 0, e)
	} else if !x.deletion(0, e) {
		x.add(0, true, e, "%s is there, and is not being deleted", x.title(e))
	}
	x.vanishedPodsOf(1, e)
	return &x.report
}

func (x *explainer) add(depth int, wanted bool, e *snapshot.Entry, format string, args ...any) {
	x.report.Add(depth, wanted, e, format, args...)
}

// namespaceMissing adds a finding where an object's namespace does not exist or is being deleted.
func (x *explainer) namespaceMissing(namespace string) {
	if namespace == "" {
		return
	}
	switch e := x.Get(core.Namespace, "", namespace); {
	case e == nil:
		x.add(0, false, nil, "namespace %s does not exist: nothing can be created in it", namespace)
	case e.Object.GetDeletionTimestamp() != nil:
		x.add(0, false, e, "namespace %s is being deleted: nothing can be created in it", namespace)
	}
}

func (x *explainer) title(e *snapshot.Entry) string { return Title(e) }

// Title is "Pod default/web-1".
func Title(e *snapshot.Entry) string {
	if ns := e.Object.GetNamespace(); ns != "" {
		return fmt.Sprintf("%s %s/%s", e.Kind.Kind, ns, e.Object.GetName())
	}
	return e.Kind.Kind + " " + e.Object.GetName()
}

// placement is the nodes with their pods.
func (x *explainer) placement() *placement.Cluster {
	if x.cluster == nil {
		x.cluster = placement.New(x.Snapshot, x.registry)
	}
	return x.cluster
}

// controlledBy are the objects of a kind that an owner controls.
func (x *explainer) controlledBy(k *schema.Kind, owner *snapshot.Entry) (all []*snapshot.Entry) {
	for _, e := range x.All(k, owner.Object.GetNamespace()) {
		if ref := metav1.GetControllerOfNoCopy(e.Object); ref != nil && ref.UID == owner.Object.GetUID() {
			all = append(all, e)
		}
	}
	return all
}

// leads returns whether a process leads an election, as its key in etcd says.
func (x *explainer) leads(name string) bool { return len(x.Below(election.Prefix+name+"/")) > 0 }

// agentMissing adds a finding where no process leads an election: nothing of what it does happens then.
func (x *explainer) agentMissing(depth int, name, does string) bool {
	if x.leads(name) {
		return false
	}
	x.add(depth, false, nil, "no %s runs, which %s: there is no key below %s%s/", name, does, election.Prefix, name)
	return true
}

// notObserved adds a finding where a controller has not seen the newest generation of an object.
func (x *explainer) notObserved(depth int, e *snapshot.Entry, observed int64) {
	if e.Object.GetGeneration() <= observed {
		return
	}
	x.add(depth, false, e, "its status is of generation %d, its spec of generation %d", observed, e.Object.GetGeneration())
	x.agentMissing(depth+1, "controllers", "brings it up to date")
}

// maxWarnings is how many events about an object are shown.
const maxWarnings = 3

// warnings adds the newest events of type Warning about an object. A reason is shown once.
func (x *explainer) warnings(depth int, e *snapshot.Entry) {
	x.events(depth, e, maxWarnings, func(*corev1.Event) bool { return true })
}

// events adds the newest most events of type Warning about an object that are wanted. A reason is shown once.
func (x *explainer) events(depth int, e *snapshot.Entry, most int, wanted func(*corev1.Event) bool) {
	var found []*snapshot.Entry
	for _, ev := range x.All(core.Event, e.Object.GetNamespace()) {
		if o := ev.Object.(*corev1.Event); o.InvolvedObject.UID == e.Object.GetUID() && o.Type == corev1.EventTypeWarning && wanted(o) {
			found = append(found, ev)
		}
	}
	slices.SortStableFunc(found, func(a, b *snapshot.Entry) int {
		return eventTime(b.Object.(*corev1.Event)).Compare(eventTime(a.Object.(*corev1.Event)))
	})
	shown := map[string]bool{}
	for _, ev := range found {
		o := ev.Object.(*corev1.Event)
		if shown[o.Reason] || len(shown) == most {
			continue
		}
		shown[o.Reason] = true
		x.add(depth, false, ev, "event %s ago: %s: %s", x.since(eventTime(o)), o.Reason, firstLine(o.Message))
	}
}

func eventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

func (x *explainer) since(t time.Time) string { return Since(x.now, t) }

// Since is how long before now a time was, "3m5s".
func Since(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "an unknown time"
	case d < 0:
		return "0s"
	case d > 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.Truncate(time.Second).String()
}

// maxText bounds a message of another program.
const maxText = 400

// firstLine is the first line of a message, not too long.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if len(line) > maxText {
		line = strings.ToValidUTF8(line[:maxText], "") + "..."
	}
	return line
}

// maxChildren is how many of several objects are explained; the others are counted.
const maxChildren = 3

// some explains the first of several objects and counts the others.
func (x *explainer) some(depth int, all []*snapshot.Entry, explain func(depth int, e *snapshot.Entry)) {
	for i, e := range all {
		if i == maxChildren {
			x.add(depth, false, nil, "and %d more %s", len(all)-i, e.Kind.Plural)
			return
		}
		explain(depth, e)
	}
}
