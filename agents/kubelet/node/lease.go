package node

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
func (n *Node) renewLease(ctx context.Context) error {
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
		err := n.renew(ctx)
		if err != nil {
			wait = leaseRetry
			if !failing && ctx.Err() == nil {
				n.cfg.Log.Warn("heartbeat failed", "after", wait, "err", err)
			}
		} else if failing {
			n.cfg.Log.Info("heartbeat recovered")
		}
		failing = err != nil
		timer.Reset(wait)
	}
}

func (n *Node) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseDuration/4)
	defer cancel()
	leases := registry.For[*coordinationv1.Lease](n.cfg.Registry)
	_, err := leases.Modify(ctx, corev1.NamespaceNodeLease, n.cfg.Name, func(l *coordinationv1.Lease) error {
		n.fillLease(l)
		return nil
	})
	if errors.Is(err, registry.NotFound) {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: n.cfg.Name}}
		n.fillLease(l)
		_, err = leases.Create(ctx, l)
	}
	if err != nil {
		return fmt.Errorf("renewing the lease of node %s: %w", n.cfg.Name, err)
	}
	return nil
}

func (n *Node) fillLease(l *coordinationv1.Lease) {
	holder, seconds, now := n.cfg.Name, int32(leaseDuration/time.Second), metav1.NowMicro()
	l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &holder, &seconds, &now
	if obj := n.Current(); obj != nil && len(l.OwnerReferences) == 0 {
		l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: obj.Name, UID: obj.UID}}
	}
}
