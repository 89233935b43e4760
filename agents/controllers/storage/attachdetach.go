package storage

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/pods"
	"gantry/schema/storage"
	"gantry/schema/volumes"
)

// attacher keeps the VolumeAttachments of CSI drivers' volumes. Its keys are names of nodes.
type attacher struct{ *controller.Env }

// NewAttacher makes the controller attachdetach: a volume of a CSI driver that is to be attached has a VolumeAttachment for each node with pods
// that use it. The driver's external-attacher acts on it; the node's status names what is attached.
func NewAttacher(e *controller.Env) controller.Reconciler {
	a := attacher{e}
	return controller.Reconciler{
		Reconcile: a.reconcile,
		Watches: []controller.Watch{
			{Kind: core.Pod, Keys: a.onPod},
			{Kind: core.Node, Keys: a.onNode},
			{Kind: storage.VolumeAttachment, Keys: a.onAttachment},
		},
	}
}

// onPod enqueues the node of a pod with claims that comes to it, ends or goes.
func (a attacher) onPod(old, current schema.Object) {
	was, _ := old.(*corev1.Pod)
	is, _ := current.(*corev1.Pod)
	if usesAttached(was) == usesAttached(is) {
		return
	}
	for _, p := range []*corev1.Pod{was, is} {
		if usesAttached(p) {
			a.Enqueue(p.Spec.NodeName, 0)
		}
	}
}

// usesAttached tells whether a pod on a node may use volumes that are attached to it.
func usesAttached(p *corev1.Pod) bool {
	return p != nil && p.Spec.NodeName != "" && !pods.IsTerminal(p) && len(volumes.ClaimNames(p)) > 0
}

// onNode enqueues a node whose taints or volumes change, and one that is gone.
func (a attacher) onNode(old, current schema.Object) {
	was, _ := old.(*corev1.Node)
	is, _ := current.(*corev1.Node)
	switch {
	case is == nil:
		a.Enqueue(was.Name, 0)
	case was == nil, len(was.Spec.Taints) != len(is.Spec.Taints), len(was.Status.VolumesInUse) != len(is.Status.VolumesInUse), len(was.Status.VolumesAttached) != len(is.Status.VolumesAttached):
		a.Enqueue(is.Name, 0)
	}
}

func (a attacher) onAttachment(old, current schema.Object) {
	for _, obj := range []schema.Object{old, current} {
		if va, ok := obj.(*storagev1.VolumeAttachment); ok {
			a.Enqueue(va.Spec.NodeName, 0)
		}
	}
}

func (a attacher) reconcile(ctx context.Context, name string) (time.Duration, error) {
	s, err := a.observe(ctx, name)
	if err != nil || len(s.wanted)+len(s.attachments) == 0 && (s.node == nil || len(s.node.Status.VolumesAttached) == 0) {
		return 0, err
	}
	p := planAttachments(s)
	for _, ev := range p.events {
		a.Record(ev)
	}
	return p.after, a.Execute(ctx, p.actions)
}

func (a attacher) observe(ctx context.Context, name string) (s attachState, err error) {
	s = attachState{name: name, wanted: map[string]*wantedVolume{}, volumes: map[string]*corev1.PersistentVolume{}, now: time.Now()}
	if s.node, err = controller.Cached[*corev1.Node](ctx, a.Registry, name); err != nil {
		return s, err
	}
	if s.attachments, err = list[*storagev1.VolumeAttachment](ctx, a.Env, storage.VolumeAttachment, "", false); err != nil {
		return s, err
	}
	for _, va := range s.attachments {
		if of := va.Spec.Source.PersistentVolumeName; of != nil && va.Spec.NodeName == name {
			pv, err := controller.Cached[*corev1.PersistentVolume](ctx, a.Registry, *of)
			if err != nil {
				return s, err
			}
			s.volumes[*of] = pv
		}
	}
	l, err := a.Registry.List(ctx, core.Pod, "", registry.ListOptions{ResourceVersion: "0", Fields: "spec.nodeName=" + name})
	if err != nil {
		return s, err
	}
	for _, it := range l.Items {
		if pod, ok := it.Object().(*corev1.Pod); ok && usesAttached(pod) {
			if err := a.addVolumes(ctx, &s, pod); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// addVolumes adds the volumes of a pod that are to be attached. A claim that is not bound yet keeps the pod from its node.
func (a attacher) addVolumes(ctx context.Context, s *attachState, pod *corev1.Pod) error {
	for _, claim := range volumes.ClaimNames(pod) {
		pvc, err := controller.Cached[*corev1.PersistentVolumeClaim](ctx, a.Registry, pod.Namespace+"/"+claim)
		if err != nil {
			return err
		}
		if pvc == nil || pvc.Spec.VolumeName == "" {
			continue
		}
		pv, err := controller.Cached[*corev1.PersistentVolume](ctx, a.Registry, pvc.Spec.VolumeName)
		if err != nil {
			return err
		}
		if pv == nil || pv.Spec.CSI == nil {
			continue
		}
		attached, err := a.isAttached(ctx, pv.Spec.CSI.Driver)
		if err != nil {
			return err
		}
		if !attached {
			continue
		}
		if s.wanted[pv.Name] == nil {
			s.wanted[pv.Name] = &wantedVolume{pv: pv}
		}
		s.volumes[pv.Name] = pv
		w := s.wanted[pv.Name]
		w.pods = append(w.pods, pod)
	}
	return nil
}

// isAttached tells whether volumes of a driver are to be attached: unless its CSIDriver says otherwise.
func (a attacher) isAttached(ctx context.Context, driver string) (bool, error) {
	d, err := registry.For[*storagev1.CSIDriver](a.Registry).Cached(ctx, "", driver)
	if errors.Is(err, registry.NotFound) {
		return true, nil
	}
	return err == nil && (d.Spec.AttachRequired == nil || *d.Spec.AttachRequired), err
}
