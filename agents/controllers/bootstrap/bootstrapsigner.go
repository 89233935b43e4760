package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/bootstraptoken"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// signaturePrefix is followed by a token's id in the key of its signature of what bootstraptoken.KubeconfigKey holds.
const signaturePrefix = "jws-kubeconfig-"

// signer has one key: the ConfigMap.
type signer struct{ *controller.Env }

// NewSigner signs kube-public/cluster-info with every bootstrap token of that use, and removes the signatures of others.
func NewSigner(e *controller.Env) controller.Reconciler {
	c := signer{e}
	return controller.Reconciler{Reconcile: c.reconcile, Watches: []controller.Watch{
		{Kind: core.ConfigMap, Keys: func(_, current schema.Object) {
			if current != nil && current.GetName() == bootstraptoken.ClusterInfo && current.GetNamespace() == metav1.NamespacePublic {
				c.Enqueue(bootstraptoken.ClusterInfo, 0)
			}
		}},
		{Kind: core.Secret, Keys: func(old, current schema.Object) {
			for _, obj := range []schema.Object{old, current} {
				if s, ok := obj.(*corev1.Secret); ok && bootstraptoken.Is(s) {
					c.Enqueue(bootstraptoken.ClusterInfo, controller.CoalesceDelay)
				}
			}
		}},
	}}
}

func (c signer) reconcile(ctx context.Context, _ string) (time.Duration, error) {
	m, err := registry.For[*corev1.ConfigMap](c.Registry).Cached(ctx, metav1.NamespacePublic, bootstraptoken.ClusterInfo)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	secrets, err := registry.For[*corev1.Secret](c.Registry).CachedSelect(ctx, bootstraptoken.Namespace, "", "type="+string(corev1.SecretTypeBootstrapToken))
	if err != nil {
		return 0, fmt.Errorf("listing the secrets of bootstrap tokens: %w", err)
	}
	plan, after := planSignatures(m, secrets, time.Now())
	err = c.Execute(ctx, plan)
	if errors.Is(err, registry.Invalid) { // immutable
		return 0, loop.Terminal(err)
	}
	return after, err
}

// planSignatures makes the signatures of a ConfigMap those of the tokens in secrets. after is when the first of these expires; 0: none does.
func planSignatures(m *corev1.ConfigMap, secrets []*corev1.Secret, now time.Time) (plan []controller.Action, after time.Duration) {
	content, ok := m.Data[bootstraptoken.KubeconfigKey]
	if !ok || m.DeletionTimestamp != nil {
		return nil, 0
	}
	data := maps.Clone(m.Data)
	maps.DeleteFunc(data, func(key, _ string) bool { return strings.HasPrefix(key, signaturePrefix) })
	n := 0
	for _, s := range secrets {
		t, ok := bootstraptoken.ForSigning(s, now)
		if !ok {
			continue
		}
		n++
		data[signaturePrefix+t.ID] = t.Sign(content)
		if left, _ := bootstraptoken.Expiration(s, now); left > 0 && (after == 0 || left < after) {
			after = left
		}
	}
	if maps.Equal(data, m.Data) {
		return nil, after
	}
	changed := m.DeepCopy()
	changed.Data = data
	return []controller.Action{{Do: controller.Update, Kind: core.ConfigMap, Object: changed, Reason: fmt.Sprintf("it is to be signed by %d bootstrap tokens", n)}}, after
}
