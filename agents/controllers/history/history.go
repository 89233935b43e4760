// Package history keeps the revisions of a pod template as ControllerRevisions, for the controllers statefulset and daemonset. All of it is
// pure but for Watch and Execute; the actions it plans are executed by its users.
package history

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

// Owner is an object with a pod template of which revisions are kept.
type Owner struct {
	Kind     *schema.Kind
	Object   schema.Object
	Template *corev1.PodTemplateSpec
	// Collisions counts how often the name of a new revision was taken; nil: never.
	Collisions *int32
	// HashLabel is the label of a revision with its hash.
	HashLabel string
}

// Sort sorts revisions, the oldest first.
func Sort(revisions []*appsv1.ControllerRevision) {
	slices.SortFunc(revisions, func(a, b *appsv1.ControllerRevision) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

// Current returns the revision that has the owner's template, and what makes it the newest: nothing, a new number for one that is older
// than another, or its creation. revisions are sorted. Equal ones are the other revisions with the template.
func Current(o Owner, revisions []*appsv1.ControllerRevision) (current *appsv1.ControllerRevision, equal []*appsv1.ControllerRevision, plan []controller.Action) {
	data := dataOf(o.Template)
	equal = withTemplate(revisions, data, o.Template)
	next := int64(1)
	if n := len(revisions); n > 0 {
		next = revisions[n-1].Revision + 1
	}
	if len(equal) == 0 {
		current = newRevision(o, data, next)
		return current, nil, []controller.Action{{Do: controller.Create, Kind: apps.ControllerRevision, Object: current, Reason: fmt.Sprintf("no revision has this template; revision %d", next)}}
	}
	current, equal = equal[len(equal)-1], equal[:len(equal)-1]
	if current == revisions[len(revisions)-1] {
		return current, equal, nil
	}
	current = current.DeepCopy()
	plan = []controller.Action{{Do: controller.Update, Kind: apps.ControllerRevision, Object: current, Reason: fmt.Sprintf("the template is that of revision %d again; revision %d", current.Revision, next)}}
	current.Revision = next
	return current, equal, plan
}

// newRevision is a revision with the owner's labels and annotations: kubectl shows the cause of a change that these tell.
func newRevision(o Owner, data []byte, revision int64) *appsv1.ControllerRevision {
	hash := hashOf(data, o.Collisions)
	name := o.Object.GetName()
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: name[:min(len(name), maxPrefix)] + "-" + hash, Namespace: o.Object.GetNamespace(),
			Labels: labels.Merge(o.Template.Labels, labels.Set{o.HashLabel: hash}), Annotations: o.Object.GetAnnotations(),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(o.Object, o.Kind.GVK())},
		},
		Data: runtime.RawExtension{Raw: data}, Revision: revision,
	}
}

// maxPrefix is how much of the owner's name a revision's name has, as upstream.
const maxPrefix = 223

// dataOf is what a revision keeps: a strategic merge patch that restores the template, byte for byte as kubectl makes it to find the
// revision in use.
//
//	{"spec":{"template":{"$patch":"replace","metadata":{...},"spec":{...}}}}
func dataOf(t *corev1.PodTemplateSpec) []byte {
	// Encoding these types and decoding what is encoded cannot fail.
	text, _ := json.Marshal(t)
	template := map[string]any{}
	_ = json.Unmarshal(text, &template)
	template["$patch"] = "replace"
	data, _ := json.Marshal(map[string]any{"spec": map[string]any{"template": template}})
	return data
}

// Template returns the template that a revision keeps, with today's defaults.
func Template(r *appsv1.ControllerRevision) (*corev1.PodTemplateSpec, error) {
	var patch struct {
		Spec struct {
			Template *corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(r.Data.Raw, &patch); err != nil {
		return nil, fmt.Errorf("reading controller revision %s/%s: %w", r.Namespace, r.Name, err)
	}
	if patch.Spec.Template == nil {
		return nil, fmt.Errorf("controller revision %s/%s has no template", r.Namespace, r.Name)
	}
	core.DefaultPodSpec(&patch.Spec.Template.Spec)
	return patch.Spec.Template, nil
}

// withTemplate returns the revisions with a template: those with its very bytes or, where there is none, those that mean the same with
// today's defaults. Other versions wrote other bytes, and a difference in form must not roll out.
func withTemplate(revisions []*appsv1.ControllerRevision, data []byte, t *corev1.PodTemplateSpec) (equal []*appsv1.ControllerRevision) {
	for _, r := range revisions {
		if string(r.Data.Raw) == string(data) {
			equal = append(equal, r)
		}
	}
	if len(equal) > 0 {
		return equal
	}
	t = t.DeepCopy()
	core.DefaultPodSpec(&t.Spec)
	for _, r := range revisions {
		if kept, err := Template(r); err == nil && equality.Semantic.DeepEqual(kept, t) {
			equal = append(equal, r)
		}
	}
	return equal
}

// hashOf is ten characters that derive from a revision's data and from how many names collided. It only names: whether a revision has a
// template is decided by comparing.
func hashOf(data []byte, collisions *int32) string {
	h := sha256.New()
	h.Write(data)
	if collisions != nil && *collisions > 0 {
		_ = binary.Write(h, binary.BigEndian, *collisions)
	}
	return controller.SafeEncode(binary.BigEndian.Uint64(h.Sum(nil)), 10)
}

// Truncate plans the deletion of the oldest revisions, so that keep of old are left; those that are live are not deleted. nil keeps all. old
// is sorted.
func Truncate(old []*appsv1.ControllerRevision, live func(*appsv1.ControllerRevision) bool, keep *int32) (plan []controller.Action) {
	if keep == nil || *keep < 0 {
		return nil
	}
	surplus := len(old) - int(*keep)
	for _, r := range old {
		if len(plan) >= surplus {
			break
		}
		if !live(r) && r.DeletionTimestamp == nil {
			plan = append(plan, controller.Action{Do: controller.Delete, Kind: apps.ControllerRevision, Object: r, Reason: "older than the revision history keeps"})
		}
	}
	return plan
}

// countCollision is what follows a failure to execute a plan of Current. Where the new revision has the name of another one it is counted in
// the owner's status, so that the next name is another; a revision that the owner made before is no collision. It returns err, and what
// else failed. count returns where the collisions are counted.
func countCollision[T schema.Object](ctx context.Context, r registry.Objects, o Owner, plan []controller.Action, err error, count func(T) **int32) error {
	i := slices.IndexFunc(plan, func(a controller.Action) bool { return a.Do == controller.Create })
	if i < 0 || !errors.Is(err, registry.Exists) {
		return err
	}
	want := plan[i].Object.(*appsv1.ControllerRevision)
	existing, getErr := registry.For[*appsv1.ControllerRevision](r).Get(ctx, want.Namespace, want.Name)
	if getErr != nil || metav1.IsControlledBy(existing, o.Object) && string(existing.Data.Raw) == string(want.Data.Raw) {
		return err
	}
	_, modifyErr := registry.For[T](r).ModifyStatus(ctx, want.Namespace, o.Object.GetName(), func(obj T) error {
		n := count(obj)
		if obj.GetUID() == o.Object.GetUID() && ptr.Deref(*n, 0) == ptr.Deref(o.Collisions, 0) {
			*n = ptr.To(ptr.Deref(*n, 0) + 1)
		}
		return nil
	})
	return errors.Join(err, modifyErr)
}
