package whatif

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema/core"
	"gantry/schema/pods"
	"gantry/schema/storage"
	"gantry/schema/volumes"
)

// nodeWorkers is how many pods and claims the played nodes work on at once.
const nodeWorkers = 8

// playNodes does what nodes do: it starts and ends pods and makes volumes.
func (c *Cluster) playNodes(ctx context.Context) error {
	reconcile := func(ctx context.Context, key string) (time.Duration, error) {
		kind, rest, _ := strings.Cut(key, " ")
		namespace, name, _ := strings.Cut(rest, "/")
		var err error
		if kind == core.Pod.Kind {
			err = c.playPod(ctx, namespace, name)
		} else {
			err = c.playVolume(ctx, namespace, name)
		}
		if errors.Is(err, registry.NotFound) {
			err = nil
		}
		return 0, err
	}
	l := loop.New("nodes", nodeWorkers, slog.New(slog.DiscardHandler), reconcile)
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return l.Run(ctx) })
	g.Go(func() error {
		return c.pods.Follow(ctx, func(_, p *corev1.Pod) {
			if p != nil {
				l.Add(core.Pod.Kind + " " + p.Namespace + "/" + p.Name)
			}
		})
	})
	g.Go(func() error {
		return registry.For[*corev1.PersistentVolumeClaim](c.registry).Follow(ctx, func(_, claim *corev1.PersistentVolumeClaim) {
			if claim != nil {
				l.Add(core.PersistentVolumeClaim.Kind + " " + claim.Namespace + "/" + claim.Name)
			}
		})
	})
	return g.Wait()
}

// playPod makes a new pod ready, or ends one that is being deleted. A node that is not ready does neither.
func (c *Cluster) playPod(ctx context.Context, namespace, name string) error {
	p, err := c.pods.Cached(ctx, namespace, name)
	if err != nil || p.Spec.NodeName == "" && p.DeletionTimestamp == nil {
		return err
	}
	if p.Spec.NodeName != "" {
		if ready, err := c.isReady(ctx, p.Spec.NodeName); err != nil || !ready {
			return err
		}
	}
	if p.DeletionTimestamp != nil {
		return c.pods.Delete(ctx, namespace, name, registry.DeleteOptions{GracePeriodSeconds: new(int64), UID: string(p.UID)})
	}
	if c.known[p.UID] || pods.IsReady(p) || pods.IsTerminal(p) {
		return nil
	}
	_, err = c.pods.ModifyStatus(ctx, namespace, name, func(m *corev1.Pod) error {
		m.Status.Phase = corev1.PodRunning
		// Long enough ago for every minReadySeconds.
		since := metav1.NewTime(c.now.Add(-24 * time.Hour))
		m.Status.StartTime = &since
		for _, t := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
			m.Status.Conditions = append(m.Status.Conditions, corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: since})
		}
		return nil
	})
	return err
}

func (c *Cluster) isReady(ctx context.Context, node string) (bool, error) {
	n, err := registry.For[*corev1.Node](c.registry).Cached(ctx, "", node)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	}), nil
}

// playVolume makes the volume that a claim waits for, on the node that was chosen for it.
func (c *Cluster) playVolume(ctx context.Context, namespace, name string) error {
	claim, err := registry.For[*corev1.PersistentVolumeClaim](c.registry).Cached(ctx, namespace, name)
	if err != nil || claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || claim.Spec.StorageClassName == nil {
		return err
	}
	it, err := c.registry.Get(ctx, storage.StorageClass, "", *claim.Spec.StorageClassName, "0")
	if err != nil {
		return err
	}
	class := it.Object().(*storagev1.StorageClass)
	node := claim.Annotations[volumes.SelectedNode]
	if class.Provisioner == "kubernetes.io/no-provisioner" || volumes.WaitsForConsumer(class) && node == "" {
		return nil
	}
	_, err = registry.For[*corev1.PersistentVolume](c.registry).Create(ctx, volumeFor(claim, class, node))
	if errors.Is(err, registry.Exists) {
		err = nil
	}
	return err
}

// volumeFor is the volume that a provisioner would make; node "": one that every node reaches.
func volumeFor(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, node string) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(claim.UID)},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: claim.Spec.Resources.Requests, AccessModes: claim.Spec.AccessModes, VolumeMode: claim.Spec.VolumeMode,
			StorageClassName: class.Name, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/what-if"}},
		},
	}
	if node != "" {
		onNode := corev1.NodeSelectorRequirement{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{onNode}}},
		}}
	}
	return v
}
