package storage

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/schema/core"
	"gantry/schema/storage"
)

// The times of kube-controller-manager: how long a driver may take to attach a volume before that is told, and how long a node that is not
// ready may have a volume in use before it is detached all the same.
const (
	attachTimeout       = 2 * time.Minute
	maxWaitForUnmount   = 6 * time.Minute
	multiAttachInterval = 5 * time.Second // when it is tried again
)

// wantedVolume is a volume of a CSI driver that pods of a node use.
type wantedVolume struct {
	pv   *corev1.PersistentVolume
	pods []*corev1.Pod
}

// attachState is what the attachments of one node are planned from.
type attachState struct {
	name        string
	node        *corev1.Node             // nil: it is gone
	wanted      map[string]*wantedVolume // by the name of the volume
	attachments []*storagev1.VolumeAttachment
	// volumes are those of the attachments, by name. One that is missing is gone.
	volumes map[string]*corev1.PersistentVolume
	now     time.Time
}

// attachPlan is what is to be done for a node.
type attachPlan struct {
	actions []controller.Action
	events  []*controller.Event
	after   time.Duration // when to reconcile again; 0: when something changes
}

// attachmentName is the name that kube-controller-manager gives the attachment of a volume to a node.
func attachmentName(csi *corev1.CSIPersistentVolumeSource, node string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(csi.VolumeHandle+csi.Driver+node)))
}

// attachedName is the name of a volume in a node's status.
func attachedName(csi *corev1.CSIPersistentVolumeSource) corev1.UniqueVolumeName {
	return corev1.UniqueVolumeName("kubernetes.io/csi/" + csi.Driver + "^" + csi.VolumeHandle)
}

// planAttachments plans the attachments of a node's volumes, and what its status says of them.
func planAttachments(s attachState) (p attachPlan) {
	own := map[string]*storagev1.VolumeAttachment{} // by name
	for _, a := range s.attachments {
		if a.Spec.NodeName == s.name {
			own[a.Name] = a
		}
	}
	kept := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(s.wanted)) {
		w := s.wanted[name]
		id := attachmentName(w.pv.Spec.CSI, s.name)
		kept[id] = true
		p.attach(s, w, id, own[id])
	}
	for _, id := range slices.Sorted(maps.Keys(own)) {
		if !kept[id] && strings.HasPrefix(id, "csi-") && own[id].DeletionTimestamp == nil {
			p.detach(s, own[id])
		}
	}
	p.setStatus(s, own)
	return p
}

// attach plans the attachment of a volume that is wanted; a is the one that there is.
func (p *attachPlan) attach(s attachState, w *wantedVolume, id string, a *storagev1.VolumeAttachment) {
	name := w.pv.Name
	switch {
	case s.node == nil, a != nil && a.DeletionTimestamp != nil: // its end reconciles again
	case a == nil && s.blockedBy(w.pv) != nil:
		p.say(w, true, "FailedAttachVolume", "Multi-Attach error for volume %q Volume is already exclusively attached to one node and can't be attached to another", name)
		p.after = controller.Sooner(p.after, multiAttachInterval)
	case a == nil:
		p.actions = append(p.actions, controller.Action{Do: controller.Create, Kind: storage.VolumeAttachment, Reason: "pods of node " + s.name + " use volume " + name,
			Object: &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: id}, Spec: storagev1.VolumeAttachmentSpec{
				Attacher: w.pv.Spec.CSI.Driver, NodeName: s.name, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &name},
			}}})
		p.after = controller.Sooner(p.after, attachTimeout)
	case a.Status.Attached:
		if !isInStatus(s.node, attachedName(w.pv.Spec.CSI)) {
			p.say(w, false, "SuccessfulAttachVolume", "AttachVolume.Attach succeeded for volume %q ", name)
		}
	case a.Status.AttachError != nil:
		p.say(w, true, "FailedAttachVolume", "AttachVolume.Attach failed for volume %q : %s", name, a.Status.AttachError.Message)
	case s.now.Sub(a.CreationTimestamp.Time) >= attachTimeout:
		p.say(w, true, "FailedAttachVolume", "AttachVolume.Attach failed for volume %q : timed out waiting for external-attacher of %s CSI driver to attach volume %s",
			name, a.Spec.Attacher, w.pv.Spec.CSI.VolumeHandle)
		p.after = controller.Sooner(p.after, attachTimeout)
	default:
		p.after = controller.Sooner(p.after, attachTimeout-s.now.Sub(a.CreationTimestamp.Time))
	}
}

// blockedBy returns the attachment to another node of a volume that only one node may have; nil: there is none.
func (s attachState) blockedBy(pv *corev1.PersistentVolume) *storagev1.VolumeAttachment {
	for _, mode := range pv.Spec.AccessModes {
		if mode == corev1.ReadWriteMany || mode == corev1.ReadOnlyMany {
			return nil
		}
	}
	for _, a := range s.attachments {
		if of := a.Spec.Source.PersistentVolumeName; of != nil && *of == pv.Name && a.Spec.NodeName != s.name {
			return a
		}
	}
	return nil
}

// detach plans the end of an attachment that no pod of the node needs any more, once the node does not use the volume.
func (p *attachPlan) detach(s attachState, a *storagev1.VolumeAttachment) {
	wait, reason := s.unmountWait(a)
	if wait > 0 {
		p.after = controller.Sooner(p.after, wait)
		return
	}
	if reason == "" {
		return // the node's status reconciles again
	}
	p.actions = append(p.actions, controller.Action{Do: controller.Delete, Kind: storage.VolumeAttachment, Object: a, Reason: reason})
}

// unmountWait returns why an attachment may end; "": it may not, while the node has mounted the volume. wait is after what time to see again.
func (s attachState) unmountWait(a *storagev1.VolumeAttachment) (wait time.Duration, reason string) {
	if s.node == nil {
		return 0, "its node is gone"
	}
	pv := s.volumeOf(a)
	if pv == nil || !slices.Contains(s.node.Status.VolumesInUse, attachedName(pv.Spec.CSI)) {
		return 0, "no pod of the node uses its volume"
	}
	if slices.ContainsFunc(s.node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService }) {
		return 0, "its node is out of service"
	}
	for _, c := range s.node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			if left := maxWaitForUnmount - s.now.Sub(c.LastTransitionTime.Time); left > 0 {
				return left, ""
			}
			return 0, fmt.Sprintf("its node has not been ready for %v", maxWaitForUnmount)
		}
	}
	return 0, ""
}

// volumeOf is the volume of an attachment; nil: it is gone, or of another kind.
func (s attachState) volumeOf(a *storagev1.VolumeAttachment) *corev1.PersistentVolume {
	if a.Spec.Source.PersistentVolumeName == nil {
		return nil
	}
	pv := s.volumes[*a.Spec.Source.PersistentVolumeName]
	if pv == nil || pv.Spec.CSI == nil {
		return nil
	}
	return pv
}

// setStatus plans the node's list of attached volumes. Volumes that were attached by others than CSI drivers stay in it.
func (p *attachPlan) setStatus(s attachState, own map[string]*storagev1.VolumeAttachment) {
	if s.node == nil {
		return
	}
	var attached []corev1.AttachedVolume
	for _, v := range s.node.Status.VolumesAttached {
		if !strings.HasPrefix(string(v.Name), "kubernetes.io/csi/") {
			attached = append(attached, v)
		}
	}
	for _, a := range own {
		if pv := s.volumeOf(a); pv != nil && a.Status.Attached {
			attached = append(attached, corev1.AttachedVolume{Name: attachedName(pv.Spec.CSI)})
		}
	}
	slices.SortFunc(attached, func(a, b corev1.AttachedVolume) int { return cmp.Compare(a.Name, b.Name) })
	if equality.Semantic.DeepEqual(attached, s.node.Status.VolumesAttached) {
		return
	}
	node := s.node.DeepCopy()
	node.Status.VolumesAttached = attached
	p.actions = append(p.actions, controller.Action{Do: controller.UpdateStatus, Kind: core.Node, Object: node, Reason: fmt.Sprintf("%d volumes are attached", len(attached))})
}

// say tells the pods that use a volume.
func (p *attachPlan) say(w *wantedVolume, warning bool, reason, format string, args ...any) {
	for _, pod := range w.pods {
		p.events = append(p.events, &controller.Event{Kind: core.Pod, About: pod, Warning: warning, Reason: reason, Message: fmt.Sprintf(format, args...)})
	}
}

func isInStatus(node *corev1.Node, name corev1.UniqueVolumeName) bool {
	return slices.ContainsFunc(node.Status.VolumesAttached, func(v corev1.AttachedVolume) bool { return v.Name == name })
}
