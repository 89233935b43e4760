package kubelet

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
)

// The node's heartbeat.
const (
	leaseEvery    = 10 * time.Second
	leaseDuration = 40 * time.Second
	leaseRetry    = time.Second
)

// renewLease keeps the node's heartbeat: Lease kube-node-lease/<node>, written straight to etcd, so that a node counts as alive
// while every gateway is away.
func (k *kubelet) renewLease(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		wait := leaseEvery
		err := k.beat(ctx)
		if err != nil {
			wait = leaseRetry
			if !failing && ctx.Err() == nil {
				k.log.Warn("heartbeat failed", "after", wait, "err", err)
			}
		} else if failing {
			k.log.Info("heartbeat recovered")
		}
		failing = err != nil
		timer.Reset(wait)
	}
}

func (k *kubelet) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseDuration/4)
	defer cancel()
	leases := registry.For[*coordinationv1.Lease](k.cfg.Registry)
	_, err := leases.Modify(ctx, corev1.NamespaceNodeLease, k.cfg.NodeName, func(l *coordinationv1.Lease) error {
		k.fillLease(l)
		return nil
	})
	if errors.Is(err, registry.NotFound) {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: k.cfg.NodeName}}
		k.fillLease(l)
		_, err = leases.Create(ctx, l)
	}
	if err != nil {
		return fmt.Errorf("renewing the lease of node %s: %w", k.cfg.NodeName, err)
	}
	return nil
}

func (k *kubelet) fillLease(l *coordinationv1.Lease) {
	holder, seconds, now := k.cfg.NodeName, int32(leaseDuration/time.Second), metav1.NowMicro()
	l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &holder, &seconds, &now
	if n := k.node.current(); n != nil && len(l.OwnerReferences) == 0 {
		l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}}
	}
}
