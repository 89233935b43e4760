package explain

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/admin/snapshot"
	"gantry/schema/core"
	"gantry/schema/pods"
	"gantry/schema/storage"
	"gantry/schema/volumes"
)

// claim explains a persistent volume claim by its volume, its class, and the volumes that it could be bound to.
func (x *explainer) claim(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	c := e.Object.(*corev1.PersistentVolumeClaim)
	x.add(depth, c.Status.Phase == corev1.ClaimBound, e, "%s is %s", x.title(e), strings.ToLower(string(c.Status.Phase)))
	if depth == 0 {
		defer x.warnings(depth+1, e)
	}
	if c.Spec.VolumeName != "" {
		x.boundVolume(depth+1, c)
		return
	}
	switch {
	case c.Spec.StorageClassName == nil:
		x.add(depth+1, false, e, "it names no storage class, and none was the default when it was made")
	case *c.Spec.StorageClassName == "":
		x.add(depth+1, false, e, "its storage class is \"\": only a volume without a class will do, none is made for it")
	default:
		class := x.Get(storage.StorageClass, "", *c.Spec.StorageClassName)
		if class == nil {
			x.add(depth+1, false, nil, "StorageClass %s does not exist: only a volume of that class will do, none is made", *c.Spec.StorageClassName)
		} else {
			x.class(depth+1, c, class)
		}
	}
	x.candidates(depth+1, c)
}

func (x *explainer) class(depth int, c *corev1.PersistentVolumeClaim, class *snapshot.Entry) {
	sc := class.Object.(*storagev1.StorageClass)
	if !volumes.WaitsForConsumer(sc) {
		x.add(depth, false, class, "StorageClass %s: its provisioner %s has to make a volume", sc.Name, sc.Provisioner)
		return
	}
	users := x.usersOf(c)
	if len(users) == 0 {
		x.add(depth, false, class, "StorageClass %s waits for the first consumer: no pod uses the claim yet", class.Object.GetName())
		return
	}
	x.add(depth, false, class, "StorageClass %s waits for the first consumer to get a node: %s", class.Object.GetName(), x.title(users[0]))
}

// boundVolume explains the volume that a claim names.
func (x *explainer) boundVolume(depth int, c *corev1.PersistentVolumeClaim) {
	e := x.Get(core.PersistentVolume, "", c.Spec.VolumeName)
	if e == nil {
		x.add(depth, false, nil, "its PersistentVolume %s does not exist: its data is lost, or the volume is to be restored", c.Spec.VolumeName)
		return
	}
	v := e.Object.(*corev1.PersistentVolume)
	ref := v.Spec.ClaimRef
	switch {
	case ref == nil:
		x.add(depth, false, e, "PersistentVolume %s is not bound to it yet (%s)", v.Name, v.Status.Phase)
	case ref.Namespace != c.Namespace || ref.Name != c.Name || ref.UID != "" && ref.UID != c.UID:
		x.add(depth, false, e, "PersistentVolume %s belongs to another claim: %s/%s", v.Name, ref.Namespace, ref.Name)
	default:
		x.add(depth, v.Status.Phase == corev1.VolumeBound, e, "PersistentVolume %s is %s", v.Name, strings.ToLower(string(v.Status.Phase)))
	}
}

// candidates adds why free volumes do not suit a claim.
func (x *explainer) candidates(depth int, c *corev1.PersistentVolumeClaim) {
	shown := 0
	for _, e := range x.All(core.PersistentVolume, "") {
		v := e.Object.(*corev1.PersistentVolume)
		if ref := v.Spec.ClaimRef; ref != nil && (ref.Namespace != c.Namespace || ref.Name != c.Name) || shown == maxChildren {
			continue
		}
		shown++
		if why := unsuitable(c, v); why != "" {
			x.add(depth, false, e, "PersistentVolume %s does not suit: %s", v.Name, why)
		} else {
			x.add(depth, false, e, "PersistentVolume %s suits: it is yet to be bound", v.Name)
			x.agentMissing(depth+1, "controllers", "binds it")
		}
	}
}

// unsuitable says why a volume cannot be bound to a claim; "": it can.
func unsuitable(c *corev1.PersistentVolumeClaim, v *corev1.PersistentVolume) string {
	if v.Status.Phase != corev1.VolumeAvailable && v.Spec.ClaimRef == nil {
		return "it is " + strings.ToLower(string(v.Status.Phase))
	}
	if err := volumes.Satisfies(v, c); err != nil {
		have := v.Spec.Capacity[corev1.ResourceStorage]
		return fmt.Sprintf("%v (it has %s, class %q, access modes %v)", err, have.String(), volumes.ClassOf(v), v.Spec.AccessModes)
	}
	if selector, err := metav1.LabelSelectorAsSelector(c.Spec.Selector); c.Spec.Selector != nil && err == nil && !selector.Matches(labels.Set(v.Labels)) {
		return "the claim's selector does not match its labels"
	}
	return ""
}

// usersOf are the pods that use a claim and have not ended.
func (x *explainer) usersOf(c *corev1.PersistentVolumeClaim) (all []*snapshot.Entry) {
	for _, e := range x.All(core.Pod, c.Namespace) {
		p := e.Object.(*corev1.Pod)
		if !pods.IsTerminal(p) && slices.Contains(volumes.ClaimNames(p), c.Name) {
			all = append(all, e)
		}
	}
	return all
}

// claimUsers adds the pods that keep a claim from being deleted.
func (x *explainer) claimUsers(depth int, e *snapshot.Entry) {
	c, ok := e.Object.(*corev1.PersistentVolumeClaim)
	if !ok {
		return
	}
	x.some(depth, x.usersOf(c), func(depth int, pod *snapshot.Entry) {
		x.add(depth, false, pod, "%s uses it", x.title(pod))
	})
}
