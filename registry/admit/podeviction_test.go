package admit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/core"
	"gantry/schema/policy"
)

// evictions is a registry with pods that have a node, labelled app=web.
type evictions struct {
	t    *testing.T
	r    *registry.Registry
	etcd *store.Fake
	ctx  context.Context
}

func newEvictions(t *testing.T) *evictions {
	etcd := store.NewFake()
	registrytest.Namespace(t, registrytest.On(t, etcd), "default")
	return &evictions{t, registrytest.On(t, etcd), etcd, registrytest.Context(t)}
}

func (e *evictions) pod(name string, phase corev1.PodPhase, ready bool) {
	e.t.Helper()
	p := registrytest.Pod(name)
	p.Labels = map[string]string{"app": "web"}
	registrytest.Must(e.t)(e.r.Create(e.ctx, core.Pod, p, registry.WriteOptions{}))
	registrytest.Must(e.t)(registrytest.Bind(e.ctx, e.r, name, "n1", registry.WriteOptions{}))
	registrytest.Modify(e.t, e.r, "default", name, "status", func(p *corev1.Pod) {
		p.Status.Phase = phase
		status := corev1.ConditionFalse
		if ready {
			status = corev1.ConditionTrue
		}
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: status})
	})
}

// budget makes or replaces a budget of the pods labelled app=web.
func (e *evictions) budget(name string, status policyv1.PodDisruptionBudgetStatus, unhealthy *policyv1.UnhealthyPodEvictionPolicyType) {
	e.t.Helper()
	_, _, _ = e.r.Delete(e.ctx, policy.PodDisruptionBudget, "default", name, registry.DeleteOptions{})
	b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	b.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	b.Spec.UnhealthyPodEvictionPolicy = unhealthy
	registrytest.Must(e.t)(e.r.Create(e.ctx, policy.PodDisruptionBudget, b, registry.WriteOptions{}))
	registrytest.Modify(e.t, e.r, "default", name, "status", func(b *policyv1.PodDisruptionBudget) { b.Status = status })
}

func (e *evictions) evict(name string, o registry.DeleteOptions) error {
	o.Subresource = "eviction"
	_, _, err := e.r.Delete(e.ctx, core.Pod, "default", name, o)
	return err
}

func (e *evictions) status() policyv1.PodDisruptionBudgetStatus {
	e.t.Helper()
	b, err := registry.For[*policyv1.PodDisruptionBudget](e.r).Get(e.ctx, "default", "web")
	if err != nil {
		e.t.Fatal(err)
	}
	return b.Status
}

func TestEvictionAsksTheBudget(t *testing.T) {
	const refused = "Cannot evict pod as it would violate the pod's disruption budget."
	ok := policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DisruptionsAllowed: 1, CurrentHealthy: 3, DesiredHealthy: 2, ExpectedPods: 3}
	none := policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, CurrentHealthy: 2, DesiredHealthy: 2, ExpectedPods: 3}
	withCondition := func(s policyv1.PodDisruptionBudgetStatus, reason, message string) policyv1.PodDisruptionBudgetStatus {
		s.Conditions = []metav1.Condition{{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: reason, Message: message, LastTransitionTime: metav1.Now()}}
		return s
	}
	plenty := none
	plenty.CurrentHealthy = 3
	always := ptr.To(policyv1.AlwaysAllow)
	for _, tt := range []struct {
		name   string
		phase  corev1.PodPhase
		ready  bool
		status policyv1.PodDisruptionBudgetStatus
		policy *policyv1.UnhealthyPodEvictionPolicyType
		cause  string // of the refusal; "": the pod is evicted
		after  time.Duration
		spent  bool
	}{
		{"allowed", corev1.PodRunning, true, ok, nil, "", 0, true},
		{"none allowed", corev1.PodRunning, true, none, nil, "The disruption budget web needs 2 healthy pods and has 2 currently", 0, false},
		{"none allowed with enough healthy", corev1.PodRunning, true, plenty, nil, "The disruption budget web does not allow evicting pods currently", 0, false},
		{"none allowed for a reason", corev1.PodRunning, true, withCondition(plenty, "Other", "why"), nil, "The disruption budget web does not allow evicting pods currently (Other): why", 0, false},
		{"failed sync", corev1.PodRunning, true, withCondition(none, policyv1.SyncFailedReason, "no scale"), nil, "The disruption budget web does not allow evicting pods currently because it failed sync: no scale", 0, false},
		{"not observed", corev1.PodRunning, true, policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 1}, nil, "The disruption budget web is still being processed by the server.", 10 * time.Second, false},
		{"pending", corev1.PodPending, false, none, nil, "", 0, false},
		{"ended", corev1.PodFailed, false, none, nil, "", 0, false},
		{"unhealthy with enough healthy", corev1.PodRunning, false, none, nil, "", 0, false},
		{"unhealthy with too few healthy", corev1.PodRunning, false, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, CurrentHealthy: 1, DesiredHealthy: 2}, nil,
			"The disruption budget web needs 2 healthy pods and has 1 currently", 0, false},
		{"unhealthy, always allowed", corev1.PodRunning, false, policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, CurrentHealthy: 1, DesiredHealthy: 2}, always, "", 0, false},
		{"healthy, always allowed", corev1.PodRunning, true, none, always, "The disruption budget web needs 2 healthy pods and has 2 currently", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEvictions(t)
			e.pod("web-1", tt.phase, tt.ready)
			e.budget("web", tt.status, tt.policy)
			// A dry run answers as the eviction, and changes nothing.
			for _, dryRun := range []bool{true, false} {
				err := e.evict("web-1", registry.DeleteOptions{DryRun: dryRun})
				var refusal *registry.Error
				switch {
				case tt.cause == "" && err != nil:
					t.Fatalf("dry run %t: %v", dryRun, err)
				case tt.cause != "" && (!errors.As(err, &refusal) || refusal.Kind != registry.TooManyRequests || refusal.Reason != refused || refusal.RetryAfter != tt.after ||
					len(refusal.Causes) != 1 || refusal.Causes[0].Type != policyv1.DisruptionBudgetCause || refusal.Causes[0].Message != tt.cause):
					t.Fatalf("dry run %t: %#v, want the cause %q", dryRun, err, tt.cause)
				}
				evicted := tt.cause == "" && !dryRun
				p, err := registry.For[*corev1.Pod](e.r).Get(e.ctx, "default", "web-1")
				if evicted && tt.phase == corev1.PodFailed && errors.Is(err, registry.NotFound) {
					continue // it needs no time to end
				}
				if err != nil {
					t.Fatal(err)
				}
				marked := len(p.Status.Conditions) > 0 && p.Status.Conditions[len(p.Status.Conditions)-1].Reason == "EvictionByEvictionAPI"
				if (p.DeletionTimestamp != nil) != evicted || marked != evicted {
					t.Errorf("dry run %t: the pod is deleted at %v with conditions %v", dryRun, p.DeletionTimestamp, p.Status.Conditions)
				}
				_, named := e.status().DisruptedPods["web-1"]
				if spent := tt.spent && !dryRun; named != spent || spent && e.status().DisruptionsAllowed != 0 {
					t.Errorf("dry run %t: status %+v", dryRun, e.status())
				}
			}
		})
	}
}

func TestEvictionOfAPodWithTwoBudgets(t *testing.T) {
	e := newEvictions(t)
	e.pod("web-1", corev1.PodRunning, true)
	allowed := policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DisruptionsAllowed: 1}
	e.budget("web", allowed, nil)
	e.budget("web2", allowed, nil)
	registrytest.WantError(t, e.evict("web-1", registry.DeleteOptions{}), registry.Misconfigured,
		`pods "web-1" misconfigured: This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.`)
}

func TestEvictionHasPreconditions(t *testing.T) {
	e := newEvictions(t)
	e.pod("web-1", corev1.PodRunning, true)
	e.budget("web", policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DisruptionsAllowed: 1}, nil)
	if err := e.evict("web-1", registry.DeleteOptions{UID: "another"}); !errors.Is(err, registry.Conflict) {
		t.Errorf("another uid: %v, want a conflict", err)
	}
	if err := e.evict("web-2", registry.DeleteOptions{}); !errors.Is(err, registry.NotFound) {
		t.Errorf("no such pod: %v", err)
	}
	if s := e.status(); s.DisruptionsAllowed != 1 {
		t.Errorf("what was refused took from the budget: %+v", s)
	}
}

// Fifty pods are evicted at once, by two processes: as many as the budget allows are.
func TestEvictionsAtOnce(t *testing.T) {
	const n, allowed = 50, 7
	e := newEvictions(t)
	for i := range n {
		e.pod(fmt.Sprint("web-", i), corev1.PodRunning, true)
	}
	e.budget("web", policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DisruptionsAllowed: allowed, CurrentHealthy: n, DesiredHealthy: n - allowed, ExpectedPods: n}, nil)
	other := *e
	other.r = registrytest.On(t, e.etcd)
	var evicted atomic.Int32
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			err := []*evictions{e, &other}[i%2].evict(fmt.Sprint("web-", i), registry.DeleteOptions{})
			switch {
			case err == nil:
				evicted.Add(1)
			case !errors.Is(err, registry.TooManyRequests) || !strings.Contains(err.Error(), "disruption budget"):
				t.Errorf("web-%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	s := e.status()
	if evicted.Load() != allowed || s.DisruptionsAllowed != 0 || len(s.DisruptedPods) != allowed {
		t.Errorf("%d were evicted, want %d; %d are named, %d are allowed still", evicted.Load(), allowed, len(s.DisruptedPods), s.DisruptionsAllowed)
	}
	podList, err := registry.For[*corev1.Pod](e.r).CachedList(e.ctx, "default", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range podList {
		if _, named := s.DisruptedPods[p.Name]; named != (p.DeletionTimestamp != nil) {
			t.Errorf("%s: named %t, deleted at %v", p.Name, named, p.DeletionTimestamp)
		}
	}
}
