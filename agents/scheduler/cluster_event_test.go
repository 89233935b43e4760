package scheduler

import (
	"context"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/plugins"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/storage"
)

// configPlugin filters pods whose annotation "config" names a config map that does not exist.
var configPlugin = framework.Plugin{
	Name: "Config", ClusterWide: true, Events: []framework.ClusterEvent{{Kind: core.ConfigMap, Actions: framework.Add}},
	NewData: func(h framework.Handle) any { return h.Registry },
	Sign:    func(pod *corev1.Pod) any { return pod.Annotations["config"] },
	PreFilter: func(data any, _ *framework.ClusterState, sig *framework.PodSignature) any {
		name := sig.Pod.Annotations["config"]
		if name == "" {
			return nil
		}
		_, err := registry.For[*corev1.ConfigMap](data.(*registry.Registry)).Cached(context.Background(), sig.Pod.Namespace, name)
		return err == nil
	},
	Filter: func(_ *framework.PreFilterState, own any, _ *framework.NodeInfo) ([]string, bool) {
		if !own.(bool) {
			return []string{"configmap not found"}, true
		}
		return nil, false
	},
}

// TestRunRetriesAfterAnEventOfAPlugin: a pod that waits for an object of another kind is scheduled once that is there.
func TestRunRetriesAfterAnEventOfAPlugin(t *testing.T) {
	c := newCluster(t)
	c.addNode(t, aNode("n1"))
	p := aPod("p", annotated("config", "settings"))
	p.UID = ""
	if _, err := c.pods.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	c.scheduleWith(t, "a", with(configPlugin))
	c.awaitEvent(t, "FailedScheduling", "0/1 nodes are available: 1 configmap not found.")
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "settings"}}
	if _, err := registry.For[*corev1.ConfigMap](c.r).Create(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	c.await(t, "bound", hasNode, "p")
}

// TestEventsOfAPlugin has a pod that a plug-in rejected and checks which events make it active again.
func TestEventsOfAPlugin(t *testing.T) {
	const anyAction = framework.AnyAction
	of := func(kind ...framework.ClusterEvent) []framework.ClusterEvent { return kind }
	configMap := func(action framework.Action) func(s *schedulingState, now time.Time) {
		return func(s *schedulingState, now time.Time) { s.objectChanged(core.ConfigMap, action, now) }
	}
	relabel := func(s *schedulingState, now time.Time) { s.setNode("n1", aNode("n1", nodeLabel("a", "b")), now) }
	tests := []struct {
		name   string
		events []framework.ClusterEvent
		change func(s *schedulingState, now time.Time)
		want   bool
	}{
		{"its kind", of(framework.ClusterEvent{Kind: core.ConfigMap, Actions: anyAction}), configMap(framework.Update), true},
		{"its kind, another action", of(framework.ClusterEvent{Kind: core.ConfigMap, Actions: framework.Add}), configMap(framework.Delete), false},
		{"another kind", of(framework.ClusterEvent{Kind: core.Secret, Actions: anyAction}), configMap(framework.Add), false},
		{"a kind without events", nil, configMap(framework.Add), false},
		{"a node's label", of(framework.ClusterEvent{Kind: core.ConfigMap, Actions: anyAction}), relabel, false},
		{"a node's label, without events", nil, relabel, true},
		{"a pod bound elsewhere", of(framework.ClusterEvent{Kind: core.Pod, Actions: framework.Delete}), func(s *schedulingState, now time.Time) { s.setPod(aPod("o", on("n1")), now) }, false},
		{"a pod that left", of(framework.ClusterEvent{Kind: core.Pod, Actions: framework.Delete}), func(s *schedulingState, now time.Time) { s.deletePod("default", "there", now) }, true},
		{"a pod's label", of(framework.ClusterEvent{Kind: core.Pod, Actions: framework.Update}), func(s *schedulingState, now time.Time) { s.setPod(aPod("there", on("n1"), podLabel("a", "b")), now) }, true},
		{"a new node", of(framework.ClusterEvent{Kind: core.ConfigMap, Actions: anyAction}), func(s *schedulingState, now time.Time) { s.setNode("n2", aNode("n2"), now) }, true},
		{"a namespace's label", of(framework.ClusterEvent{Kind: core.Namespace, Actions: anyAction}), func(s *schedulingState, now time.Time) {
			s.setNamespace("default", map[string]string{"a": "b"}, now)
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rejects := true
			row := framework.Plugin{
				Name: "Waits", ClusterWide: true, Events: tt.events,
				PreFilter: func(_ any, _ *framework.ClusterState, sig *framework.PodSignature) any {
					return rejects && sig.Pod.Name == "p"
				},
				Filter: func(_ *framework.PreFilterState, own any, _ *framework.NodeInfo) ([]string, bool) {
					if own.(bool) {
						return []string{"node(s) were not what the pod waits for"}, true
					}
					return nil, false
				},
			}
			s := newTestStateWith(with(row), plainNodes(1), aPod("there", on("n1"), requests("cpu", "1")), aPod("p"))
			if d := mustScheduleOne(t, s, start); d.node != nil {
				t.Fatalf("the pod fits %s", d.name)
			}
			rejects = false
			tt.change(s, start.Add(time.Minute))
			if d, ok := s.scheduleOne(start.Add(time.Minute)); ok != tt.want || ok && d.object.Name != "p" {
				t.Errorf("active again %v, want %v; decision %+v", ok, tt.want, d)
			}
		})
	}
}

// TestEventOfAFilterBehindAnother: of two filters that reject a node only the first is known. The events of both count.
func TestEventOfAFilterBehindAnother(t *testing.T) {
	tainted := taint("x", "", corev1.TaintEffectNoSchedule)
	s := newTestState([]*corev1.Node{aNode("n1", tainted)}, aPod("full", requests("cpu", "4"), on("n1")), aPod("p", requests("cpu", "1")))
	if d := mustScheduleOne(t, s, start); d.node != nil {
		t.Fatalf("the pod fits %s", d.name)
	}
	later := start.Add(time.Minute)
	s.setNode("n1", aNode("n1"), later)
	if _, ok := s.scheduleOne(later); ok {
		t.Error("the pod is active while its node is full")
	}
	s.deletePod("default", "full", later)
	if d := mustScheduleOne(t, s, later); d.name != "n1" {
		t.Errorf("the pod is on %q: %s", d.name, d.why)
	}
}

// TestOtherKinds: the table's kinds beside those that the cluster state holds are followed.
func TestOtherKinds(t *testing.T) {
	own := []*schema.Kind{core.PersistentVolumeClaim, storage.CSINode, storage.VolumeAttachment, core.PersistentVolume, storage.StorageClass}
	if kinds := framework.NewClusterState(testPlugins(plugins.All)).OtherKinds(); !slices.Equal(kinds, own) {
		t.Errorf("the scheduler's own plug-ins have %v", kinds)
	}
	if kinds := framework.NewClusterState(testPlugins(with(configPlugin, configPlugin))).OtherKinds(); !slices.Equal(kinds, append(own, core.ConfigMap)) {
		t.Errorf("got %v, want config maps too", kinds)
	}
}
