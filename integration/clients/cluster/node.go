package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
)

// BrokenImage is the image of containers that never start on the pretended node.
const BrokenImage = "broken:1"

// pretendedNode writes the statuses that a kubelet would write, and runs nothing.
type pretendedNode struct {
	name    string
	set     kubernetes.Interface
	started int // pods; only the informer's handler counts
}

// startNode registers the node and keeps it, and serves its pods until it is stopped.
func (c *Cluster) startNode() (stop func(), err error) {
	set, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return nil, err
	}
	n := &pretendedNode{name: c.Node, set: set}
	ctx, cancel := context.WithCancel(context.Background())
	if err := n.register(ctx); err != nil {
		cancel()
		return nil, err
	}
	var wg sync.WaitGroup
	wg.Go(func() { n.renew(ctx) })
	wg.Go(func() { n.servePods(ctx) })
	return func() { cancel(); wg.Wait() }, nil
}

func (n *pretendedNode) register(ctx context.Context) error {
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("256Gi"), corev1.ResourcePods: resource.MustParse("1000"),
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{corev1.LabelHostname: n.name, corev1.LabelOSStable: "linux"}}}
	if _, err := n.set.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	status := corev1.NodeStatus{
		Capacity: room, Allocatable: room, Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: NodeIP}, {Type: corev1.NodeHostName, Address: n.name}},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}},
	}
	if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { // controllers change the node, too
		node, err := n.set.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		node.Status = status
		_, err = n.set.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	}); err != nil {
		return err
	}
	seconds, now := int32(40), metav1.NowMicro()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: n.name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &n.name, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}
	for {
		_, err := n.set.CoordinationV1().Leases(corev1.NamespaceNodeLease).Create(ctx, lease, metav1.CreateOptions{})
		if !apierrors.IsNotFound(err) { // the namespace is made right after the start
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (n *pretendedNode) renew(ctx context.Context) {
	for tick := time.NewTicker(5 * time.Second); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		patch := fmt.Sprintf(`{"spec":{"renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro))
		// A missed renewal is made up for by the next.
		_, _ = n.set.CoordinationV1().Leases(corev1.NamespaceNodeLease).Patch(ctx, n.name, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	}
}

func (n *pretendedNode) servePods(ctx context.Context) {
	own := informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", n.name).String()
	})
	factory := informers.NewSharedInformerFactoryWithOptions(n.set, 0, own)
	serve := func(obj any) {
		if p := obj.(*corev1.Pod); ctx.Err() == nil {
			n.serve(ctx, p.DeepCopy())
		}
	}
	_, _ = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: serve, UpdateFunc: func(_, obj any) { serve(obj) }})
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
}

// serve makes a new pod run, or succeed where its containers end by themselves, and confirms a deletion. Conflicts and pods that are gone
// come again with the next event.
func (n *pretendedNode) serve(ctx context.Context, p *corev1.Pod) {
	pods := n.set.CoreV1().Pods(p.Namespace)
	switch {
	case p.DeletionTimestamp != nil:
		_ = pods.Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64), Preconditions: metav1.NewUIDPreconditions(string(p.UID))})
	case p.Status.PodIP == "":
		n.run(p)
		_, _ = pods.UpdateStatus(ctx, p, metav1.UpdateOptions{})
	}
}

func (n *pretendedNode) run(p *corev1.Pod) {
	n.started++
	number := n.started
	now, started, ended := metav1.Now(), true, p.Spec.RestartPolicy != corev1.RestartPolicyAlways
	s := &p.Status
	s.Phase, s.PodIP, s.HostIP, s.StartTime = corev1.PodRunning, fmt.Sprintf("10.244.%d.%d", number/250, 2+number%250), NodeIP, &now
	s.PodIPs, s.HostIPs = []corev1.PodIP{{IP: s.PodIP}}, []corev1.HostIP{{IP: NodeIP}}
	ready := corev1.ConditionTrue
	s.ContainerStatuses = nil
	for _, c := range p.Spec.Containers {
		status := corev1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: "docker://" + c.Image, Started: &started, Ready: !ended}
		status.ContainerID = fmt.Sprintf("docker://%064d", number)
		switch {
		case c.Image == BrokenImage:
			status.Ready, ready, s.Phase = false, corev1.ConditionFalse, corev1.PodPending
			status.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "there is no such image"}
			status.ContainerID, status.ImageID = "", ""
		case ended:
			ready, s.Phase = corev1.ConditionFalse, corev1.PodSucceeded
			status.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}
		default:
			status.State.Running = &corev1.ContainerStateRunning{StartedAt: now}
		}
		s.ContainerStatuses = append(s.ContainerStatuses, status)
	}
	conditions := map[corev1.PodConditionType]corev1.ConditionStatus{
		corev1.PodInitialized: corev1.ConditionTrue, corev1.ContainersReady: ready, corev1.PodReady: ready, corev1.PodReadyToStartContainers: corev1.ConditionTrue,
	}
	kept := s.Conditions
	s.Conditions = nil
	for _, c := range kept {
		if _, ours := conditions[c.Type]; !ours {
			s.Conditions = append(s.Conditions, c)
		}
	}
	for _, t := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: t, Status: conditions[t], LastTransitionTime: now})
	}
}
