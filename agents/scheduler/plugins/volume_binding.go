package plugins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/scheduler/framework"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// volumeBinder is the data of VolumeBinding.
type volumeBinder struct {
	handle framework.Handle
	// taken are the pods that volumes are set aside for, and chosen the nodes of claims: by key, until the binding is seen or came to nothing.
	mu     sync.Mutex // guards both maps
	taken  map[string]string
	chosen map[string]string
}

func newVolumeBinder(h framework.Handle) any {
	return &volumeBinder{handle: h, taken: map[string]string{}, chosen: map[string]string{}}
}

// podClaims is what VolumeBinding needs to know of a signature's claims.
type podClaims struct {
	fault   string // why the pod fits no node; "": it may
	bound   []*corev1.PersistentVolume
	lost    bool // a bound claim's volume does not exist
	delayed []*corev1.PersistentVolumeClaim
	classes map[string]*storagev1.StorageClass
	volumes []*corev1.PersistentVolume // for delayed claims
}

// signVolumes: pods with different claims are not filtered alike.
func signVolumes(pod *corev1.Pod) any {
	names := volumes.ClaimNames(pod)
	if names == nil {
		return nil
	}
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Ephemeral != nil { // its claim must be owned by this very pod
			return append(names, string(pod.UID))
		}
	}
	return names
}

func preFilterVolumes(data any, _ *framework.ClusterState, sig *framework.PodSignature) any {
	b, ok := data.(*volumeBinder)
	if !ok || b.handle.Registry == nil || len(volumes.ClaimNames(sig.Pod)) == 0 {
		return nil
	}
	own := &podClaims{classes: map[string]*storagev1.StorageClass{}}
	if err := b.read(sig.Pod, own); err != nil {
		own.fault = err.Error()
	}
	return own
}

// read sorts the claims of a pod. It reads caches only.
func (b *volumeBinder) read(pod *corev1.Pod, own *podClaims) error {
	ctx := context.Background()
	claims, all := registry.For[*corev1.PersistentVolumeClaim](b.handle.Registry), registry.For[*corev1.PersistentVolume](b.handle.Registry)
	immediate := false
	for i := range pod.Spec.Volumes {
		name, created := volumes.ClaimName(pod, &pod.Spec.Volumes[i])
		if name == "" {
			continue
		}
		pvc, err := claims.Cached(ctx, pod.Namespace, name)
		switch {
		case errors.Is(err, registry.NotFound) && created:
			return fmt.Errorf("waiting for ephemeral volume controller to create the persistentvolumeclaim %q", name)
		case errors.Is(err, registry.NotFound):
			return fmt.Errorf("persistentvolumeclaim %q not found", name)
		case err != nil:
			return err
		case pvc.Status.Phase == corev1.ClaimLost:
			return fmt.Errorf("persistentvolumeclaim %q bound to non-existent persistentvolume %q", name, pvc.Spec.VolumeName)
		case pvc.DeletionTimestamp != nil:
			return fmt.Errorf("persistentvolumeclaim %q is being deleted", name)
		case created && !metav1.IsControlledBy(pvc, pod):
			return volumes.NotForPod(pod, pvc)
		case volumes.FullyBound(pvc):
			pv, err := all.Cached(ctx, "", pvc.Spec.VolumeName)
			if own.lost = own.lost || err != nil; err == nil {
				own.bound = append(own.bound, pv)
			}
			continue
		}
		class := b.class(ctx, pvc, own)
		if !volumes.WaitsForConsumer(class) || pvc.Spec.VolumeName != "" {
			immediate = true
			continue
		}
		own.delayed = append(own.delayed, pvc)
	}
	if immediate {
		return errors.New("pod has unbound immediate PersistentVolumeClaims")
	}
	slices.SortStableFunc(own.delayed, func(a, b *corev1.PersistentVolumeClaim) int {
		size, other := a.Spec.Resources.Requests[corev1.ResourceStorage], b.Spec.Resources.Requests[corev1.ResourceStorage]
		return size.Cmp(other)
	})
	var err error
	if len(own.delayed) > 0 {
		own.volumes, err = all.CachedList(ctx, "", "")
	}
	return err
}

func (b *volumeBinder) class(ctx context.Context, pvc *corev1.PersistentVolumeClaim, own *podClaims) *storagev1.StorageClass {
	name := core.StorageClassOf(pvc)
	if name == "" {
		return nil
	}
	class, err := registry.For[*storagev1.StorageClass](b.handle.Registry).Cached(ctx, "", name)
	if err != nil {
		return nil
	}
	own.classes[name] = class
	return class
}

// volumeDecision is how the delayed claims of a pod get their volumes on a node.
type volumeDecision struct {
	pod       string
	bind      map[*corev1.PersistentVolumeClaim]*corev1.PersistentVolume
	provision []*corev1.PersistentVolumeClaim
}

func filterVolumes(state *framework.PreFilterState, own any, n *framework.NodeInfo) ([]string, bool) {
	c := own.(*podClaims)
	if c.fault != "" {
		return []string{c.fault}, true
	}
	if slices.ContainsFunc(c.bound, func(pv *corev1.PersistentVolume) bool { return volumes.MatchesNode(pv, n.Object.Labels) != nil }) {
		return []string{"node(s) didn't match PersistentVolume's node affinity"}, true
	}
	if c.lost {
		return []string{"node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"}, true
	}
	if _, reason := c.decide(n.Object, nil, nil); reason != "" {
		return []string{reason}, true
	}
	return nil, false
}

// decide chooses volumes on a node for the delayed claims; reason is why there are none. taken and chosen are those of the binder.
func (c *podClaims) decide(node *corev1.Node, taken, chosen map[string]string) (d volumeDecision, reason string) {
	const noVolume = "node(s) didn't find available persistent volumes to bind"
	d.bind = map[*corev1.PersistentVolumeClaim]*corev1.PersistentVolume{}
	used := map[string]bool{}
	for name := range taken {
		used[name] = true
	}
	for _, pvc := range c.delayed {
		selected := pvc.Annotations[volumes.SelectedNode]
		if other := chosen[pvc.Namespace+"/"+pvc.Name]; selected == "" && other != "" {
			selected = other
		}
		if selected != "" && selected != node.Name {
			return d, noVolume
		}
		if selected == "" {
			pv, err := volumes.BestFor(pvc, c.volumes, volumes.Search{Node: node, Taken: used})
			if err != nil {
				return d, err.Error()
			}
			if pv != nil {
				d.bind[pvc], used[pv.Name] = pv, true
				continue
			}
		}
		class := c.classes[core.StorageClassOf(pvc)]
		if class == nil || class.Provisioner == "" || class.Provisioner == volumes.NoProvisioner || !volumes.InTopologies(class.AllowedTopologies, node.Labels) {
			return d, noVolume
		}
		d.provision = append(d.provision, pvc)
	}
	return d, ""
}

// reserveVolumes chooses the volumes of a pod and sets them aside.
func reserveVolumes(data any, pod *corev1.Pod, node *corev1.Node) (any, error) {
	b := data.(*volumeBinder)
	if b.handle.Registry == nil || len(volumes.ClaimNames(pod)) == 0 {
		return nil, nil
	}
	own := &podClaims{classes: map[string]*storagev1.StorageClass{}}
	if err := b.read(pod, own); err != nil {
		return nil, err
	}
	if len(own.delayed) == 0 {
		return nil, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	d, reason := own.decide(node, b.taken, b.chosen)
	if reason != "" {
		return nil, errors.New(reason)
	}
	d.pod = pod.Namespace + "/" + pod.Name
	for _, pv := range d.bind {
		b.taken[pv.Name] = d.pod
	}
	for _, pvc := range d.provision {
		b.chosen[pvc.Namespace+"/"+pvc.Name] = node.Name
	}
	return &d, nil
}

// unreserveVolumes forgets what was set aside.
func unreserveVolumes(data any, _ *corev1.Pod, _ *corev1.Node, reserved any) {
	b := data.(*volumeBinder)
	d, ok := reserved.(*volumeDecision)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, pv := range d.bind {
		delete(b.taken, pv.Name)
	}
	for _, pvc := range d.provision {
		delete(b.chosen, pvc.Namespace+"/"+pvc.Name)
	}
}

// preBindVolumes writes the decision, and waits until the controller has bound the claims.
func preBindVolumes(ctx context.Context, data any, pod *corev1.Pod, node *corev1.Node, reserved any) error {
	b, d := data.(*volumeBinder), reserved.(*volumeDecision)
	for pvc, pv := range d.bind {
		bound, changed := volumes.BindVolume(pv, pvc)
		if !changed {
			continue
		}
		if _, err := registry.For[*corev1.PersistentVolume](b.handle.Registry).Update(ctx, bound); err != nil {
			return fmt.Errorf("binding volumes: %w", err)
		}
	}
	claims := registry.For[*corev1.PersistentVolumeClaim](b.handle.Registry)
	for _, pvc := range d.provision {
		_, err := claims.Modify(ctx, pvc.Namespace, pvc.Name, func(m *corev1.PersistentVolumeClaim) error {
			if at := m.Annotations[volumes.SelectedNode]; m.UID != pvc.UID || at != "" && at != node.Name {
				return fmt.Errorf("the claim %q has another node or was replaced", m.Name)
			}
			if !volumes.FullyBound(m) {
				volumes.Annotate(m, volumes.SelectedNode, node.Name)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("binding volumes: %w", err)
		}
	}
	if err := b.awaitBound(ctx, pod, node, d); err != nil {
		return fmt.Errorf("binding volumes: %w", err)
	}
	return nil
}
