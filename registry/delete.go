package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/objectmeta"
	"gantry/registry/safely"
	"gantry/schema"
)

// Delete deletes one object or, where a grace period or finalizers keep it, marks it: gone tells which. item is
// its last state.
func (r *Registry) Delete(ctx context.Context, k *schema.Kind, namespace, name string, o DeleteOptions) (item *Item, gone bool, err error) {
	o.Warn = warnOfOrphans(k, o)
	return r.delete(ctx, k, namespace, name, o)
}

// warnOfOrphans warns where dependents stay that the client may think are deleted as well, and returns an o.Warn that repeats it.
func warnOfOrphans(k *schema.Kind, o DeleteOptions) func([]string) {
	if k.OrphanWarning == "" || o.Propagation != "" || o.Warn == nil {
		return o.Warn
	}
	o.Warn([]string{k.OrphanWarning})
	return func(texts []string) { o.Warn(append([]string{k.OrphanWarning}, texts...)) }
}

func (r *Registry) delete(ctx context.Context, k *schema.Kind, namespace, name string, o DeleteOptions) (item *Item, gone bool, err error) {
	t, err := targetOf(k, namespace, name)
	if err != nil {
		return nil, false, err
	}
	if err := checkDelete(t, o); err != nil {
		return nil, false, err
	}
	if err := r.checkServed(k); err != nil {
		return nil, false, err
	}
	var st state
	if o.DryRun {
		st, err = r.read(ctx, t)
	} else {
		st, err = r.latestKnown(ctx, t)
	}
	if err != nil {
		return nil, false, about(k, name, err)
	}
	for conflicts := 0; ; {
		u, err := r.decideDelete(ctx, t, st, o)
		switch {
		case err != nil && st.live:
			return nil, false, err
		case err != nil || u == nil && !st.live:
			if st, err = r.read(ctx, t); err != nil {
				return nil, false, about(k, name, err)
			}
			continue
		case u == nil:
			return st.item, false, nil
		}
		it, conflict, err := r.execute(ctx, u)
		if err != nil || conflict == nil {
			return it, u.remove, err
		}
		st = *conflict
		conflicts++
		if err := pause(ctx, conflicts); err != nil {
			return nil, false, err
		}
		if newer, err := r.latestKnown(ctx, t); err == nil && newer.rev > st.rev {
			st = newer // of what was written during the pause: with an older one a busy key would never be deleted
		}
	}
}

// checkDelete validates the options.
func checkDelete(t target, o DeleteOptions) error {
	switch metav1.DeletionPropagation(o.Propagation) {
	case "", metav1.DeletePropagationOrphan, metav1.DeletePropagationBackground, metav1.DeletePropagationForeground:
	default:
		e := &Error{Kind: Invalid, Group: metav1.GroupName, Resource: "deleteoptions", KindName: "DeleteOptions"}
		e.Fields = field.ErrorList{field.NotSupported(field.NewPath("propagationPolicy"), o.Propagation,
			[]string{"Foreground", "Background", "Orphan", "nil"})}
		return e
	}
	_, err := revisionOf(t, o.ResourceVersion)
	return err
}

// decideDelete is the guarded update for a state; nil: the object is being deleted already as it should be.
func (r *Registry) decideDelete(ctx context.Context, t target, st state, o DeleteOptions) (*guardedUpdate, error) {
	if st.rev == 0 {
		return nil, notFound(t.kind, t.name)
	}
	if err := r.matches(t, st, o); err != nil {
		return nil, err
	}
	if st.item == nil {
		return removeUnreadable(t, st, o), nil
	}
	obj, err := st.item.copyObject()
	if err != nil {
		return nil, err
	}
	if o.Version != nil { // the client gets the object in its version: an error comes before the deletion
		if _, err := st.item.As(ctx, t.kind.RulesOf(o.Version).Stored()); err != nil {
			return nil, err
		}
	}
	h := r.hooksOf(t.kind)
	plan := h.planDelete(t.kind, obj, o, time.Now())
	if h.evicted != nil && o.Subresource == "eviction" && h.evicted(obj, time.Now()) && plan == unchanged {
		plan = marked
	}
	if plan == unchanged {
		return nil, nil
	}
	a, err := r.admissionOfDelete(ctx, t, st.item, o)
	if err != nil {
		return nil, err
	}
	if err := a.mutate(ctx); err != nil {
		return nil, err
	}
	if err := a.validate(ctx, plan == removed); err != nil {
		return nil, err
	}
	if texts := a.warnings(); o.Warn != nil && len(texts) > 0 {
		o.Warn(texts)
	}
	version := st.item.Version() // only its metadata has changed
	return &guardedUpdate{target: t, old: st, obj: obj, version: version, as: version, remove: plan == removed, dryRun: o.DryRun, admission: a}, nil
}

// matches checks the preconditions against what is stored.
func (r *Registry) matches(t target, st state, o DeleteOptions) error {
	if refuse := r.hooksOf(t.kind).refuseDelete; refuse != nil && st.item != nil {
		if reason := refuse(st.item, o); reason != "" {
			return t.newError(Conflict, "%s", reason)
		}
	}
	if o.UID != "" && st.item != nil && o.UID != st.item.uid {
		return t.preconditionError("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", o.UID, st.item.uid)
	}
	if want, _ := revisionOf(t, o.ResourceVersion); o.ResourceVersion != "" && want != st.rev {
		return t.preconditionError("the ResourceVersion in the precondition (%d) does not match the ResourceVersion in record (%d). The object might have been modified", want, st.rev)
	}
	return nil
}

// preconditionError is a Conflict that names the kind where others name the resource, as Kubernetes does.
func (t target) preconditionError(reason string, args ...any) *Error {
	e := t.newError(Conflict, reason, args...)
	e.Resource = e.KindName
	return e
}

// removeUnreadable deletes a value that cannot be read; only its name is known.
func removeUnreadable(t target, st state, o DeleteOptions) *guardedUpdate {
	obj := t.kind.New()
	obj.SetNamespace(t.namespace)
	obj.SetName(t.name)
	return &guardedUpdate{target: t, old: st, obj: obj, remove: true, dryRun: o.DryRun}
}

// deletionPlan is what a deletion does with an object.
type deletionPlan int

const (
	unchanged deletionPlan = iota // it is being deleted already and nothing changes
	marked                        // it stays, with a deletionTimestamp
	removed                       // it goes
)

// planDelete decides a deletion and marks obj accordingly. It is pure.
func (h *hooks) planDelete(k *schema.Kind, obj schema.Object, o DeleteOptions, now time.Time) deletionPlan {
	if o.Propagation == "" && k.OrphansDependents && !slices.ContainsFunc(obj.GetFinalizers(), isPropagation) {
		o.Propagation = string(metav1.DeletePropagationOrphan)
	}
	if h.deletion != nil {
		return h.deletion(obj, o, now)
	}
	if k.Grace == nil {
		return planWithFinalizers(obj, o, now)
	}
	return planGraceful(k, obj, o, now)
}

// planWithFinalizers decides where only finalizers can keep the object.
func planWithFinalizers(obj schema.Object, o DeleteOptions, now time.Time) deletionPlan {
	changed := setPropagation(obj, o)
	if len(obj.GetFinalizers()) == 0 {
		return removed
	}
	if obj.GetDeletionTimestamp() == nil {
		markDeleted(obj, now, 0)
		return marked
	}
	if obj.GetDeletionGracePeriodSeconds() == nil {
		zero := int64(0)
		obj.SetDeletionGracePeriodSeconds(&zero)
		changed = true
	}
	if changed {
		return marked
	}
	return unchanged
}

// planGraceful decides where a grace period and finalizers can keep the object. A second deletion can only shorten the period.
func planGraceful(k *schema.Kind, obj schema.Object, o DeleteOptions, now time.Time) deletionPlan {
	was, grace := obj.GetDeletionTimestamp(), obj.GetDeletionGracePeriodSeconds()
	switch {
	case was == nil:
		setPropagation(obj, o)
		period := max(0, k.Grace(obj, o.GracePeriodSeconds))
		markDeleted(obj, now, period)
		if period == 0 && len(obj.GetFinalizers()) == 0 {
			return removed
		}
		return marked
	case grace == nil, *grace == 0:
		// Marked by another writer than the registry, or only finalizers are left.
		if len(obj.GetFinalizers()) == 0 {
			return removed
		}
		return unchanged
	case o.GracePeriodSeconds == nil:
		return unchanged
	}
	period := max(0, k.Grace(obj, o.GracePeriodSeconds))
	if period >= *grace {
		return unchanged
	}
	shorter := objectmeta.Time(was.Add(time.Duration(period-*grace) * time.Second))
	obj.SetDeletionTimestamp(&shorter)
	obj.SetDeletionGracePeriodSeconds(&period)
	if period == 0 && len(obj.GetFinalizers()) == 0 {
		return removed
	}
	return marked
}

// markDeleted sets the deletion's time, seconds from now, and tells by the generation that the wanted state changed.
func markDeleted(obj schema.Object, now time.Time, seconds int64) {
	at := objectmeta.Time(now.Add(time.Duration(seconds) * time.Second))
	obj.SetDeletionTimestamp(&at)
	obj.SetDeletionGracePeriodSeconds(&seconds)
	if g := obj.GetGeneration(); g > 0 {
		obj.SetGeneration(g + 1)
	}
}

// setPropagation sets the finalizers that tell the garbage collector what to do with dependents. Without a policy they stay as they are.
func setPropagation(obj schema.Object, o DeleteOptions) (changed bool) {
	if o.Propagation == "" {
		return false
	}
	old := obj.GetFinalizers()
	finalizers := slices.DeleteFunc(slices.Clone(old), isPropagation)
	switch metav1.DeletionPropagation(o.Propagation) {
	case metav1.DeletePropagationOrphan:
		finalizers = append(finalizers, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		finalizers = append(finalizers, metav1.FinalizerDeleteDependents)
	}
	if slices.Equal(slices.Sorted(slices.Values(old)), slices.Sorted(slices.Values(finalizers))) {
		return false
	}
	obj.SetFinalizers(finalizers)
	return true
}

// isPropagation tells that a finalizer is one that setPropagation sets.
func isPropagation(finalizer string) bool {
	return finalizer == metav1.FinalizerOrphanDependents || finalizer == metav1.FinalizerDeleteDependents
}

// parallelDeletes is how many objects of a collection are deleted at a time.
const parallelDeletes = 8

// DeleteCollection deletes every object that l selects and returns the list of them, as they were. One that was deleted or created
// again meanwhile is skipped.
func (r *Registry) DeleteCollection(ctx context.Context, k *schema.Kind, namespace string, o DeleteOptions, l ListOptions) (List, error) {
	list, err := r.List(ctx, k, namespace, l)
	if err != nil {
		return List{}, err
	}
	if o.Version != nil {
		if err := ConvertItems(ctx, list.Items, k.RulesOf(o.Version).Stored()); err != nil {
			return List{}, err
		}
	}
	warnOfOrphans(k, o)
	o.Warn = nil // the deletions run at the same time
	g, gctx := safely.WithContext(ctx)
	g.SetLimit(parallelDeletes)
	for _, it := range list.Items {
		g.Go(func() error {
			one := o
			if one.UID == "" {
				one.UID = it.uid
			}
			_, _, err := r.delete(gctx, k, it.Namespace, it.Name, one)
			remade := o.UID == "" && o.ResourceVersion == "" && errors.Is(err, Conflict)
			if errors.Is(err, NotFound) || remade {
				return nil
			}
			return err
		})
	}
	err = g.Wait()
	return list, err
}
