package plugins

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"gantry/agents/scheduler/framework"
)

// TestKeptCounts lets nodes and pods come, change and go in any order. After each event the counts that pre-filter states keep equal counts
// computed again.
func TestKeptCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := framework.NewClusterState(framework.NewPluginSet(All, framework.Handle{}))
		c.SetNamespace("default", map[string]string{})
		placed := map[string]*framework.PodInfo{}
		pick := func(t *rapid.T) *framework.PodInfo { return placed[podNames.Draw(t, "pod")] }
		t.Repeat(map[string]func(*rapid.T){
			"node": func(t *rapid.T) {
				name := nodeNames.Draw(t, "node")
				var object *corev1.Node
				if rapid.IntRange(0, 3).Draw(t, "gone") > 0 {
					labels := map[string]string{corev1.LabelHostname: name, corev1.LabelTopologyZone: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "zone")}
					object = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
				}
				c.SetNode(name, object)
			},
			"add": func(t *rapid.T) {
				p := &framework.PodInfo{Key: podNames.Draw(t, "pod")}
				if placed[p.Key] != nil {
					return
				}
				placed[p.Key] = p
				c.SetSignature(p, c.SignatureOf(drawPod(t)))
				c.AddPod(p, c.NodeNamed(nodeNames.Draw(t, "node")))
			},
			"relabel": func(t *rapid.T) {
				if p := pick(t); p != nil {
					c.SetSignature(p, c.SignatureOf(drawPod(t)))
				}
			},
			"terminate": func(t *rapid.T) {
				if p := pick(t); p != nil {
					c.SetTerminating(p, true)
				}
			},
			"remove": func(t *rapid.T) {
				if p := pick(t); p != nil {
					c.RemovePod(p)
					c.SetSignature(p, nil)
					delete(placed, p.Key)
				}
			},
			"select": func(t *rapid.T) {
				if p := pick(t); p != nil {
					c.SelectNode(p.Signature)
				}
			},
			"": func(t *rapid.T) {
				for _, sig := range c.RecentSignatures {
					if sig.PreFilterState != nil {
						checkCounts(t, c, sig)
					}
				}
			},
		})
	})
}

var (
	nodeNames = rapid.SampledFrom([]string{"n1", "n2", "n3"})
	podNames  = rapid.StringMatching("default/p[0-9]")
)

// drawPod returns a pod with a label and one kind of affinity or spreading.
func drawPod(t *rapid.T) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Labels: map[string]string{"app": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "app")}}}
	like := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}
	term := corev1.PodAffinityTerm{LabelSelector: like, TopologyKey: corev1.LabelTopologyZone}
	preferred := []corev1.WeightedPodAffinityTerm{{Weight: 7, PodAffinityTerm: term}}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		pod.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}}
	case 1:
		pod.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}}
	case 2:
		pod.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: preferred}}
	case 3, 4:
		pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: like,
		}}
	}
	return pod
}

func checkCounts(t *rapid.T, c *framework.ClusterState, sig *framework.PodSignature) {
	for i := range All {
		if All[i].PreFilter == nil {
			continue
		}
		kept, skip := sig.PreFilterState.Own(i)
		if skip {
			continue
		}
		if diff := cmp.Diff(countsOf(All[i].PreFilter(nil, c, sig)), countsOf(kept)); diff != "" {
			t.Fatalf("counts of a signature (-computed again +kept):\n%s", diff)
		}
	}
}

// countsOf returns the counts of a pre-filter state.
func countsOf(own any) map[string]any {
	all := map[string]any{}
	switch s := own.(type) {
	case *spreadState:
		for i := range s.topology {
			all[fmt.Sprint("spread", i)] = s.topology[i].counts
			all[fmt.Sprint("low", i)] = s.topology[i].minMatch(1)
		}
	case *affinityState:
		all["affinityMatches"], all["existingAntiAffinity"] = s.affinityMatches, nonZero(s.existingAntiAffinityCounts)
		all["antiAffinity"], all["topologyScores"] = nonZero(s.antiAffinityCounts), nonZero(s.topologyScores)
		for i := range s.affinityCounts {
			all[fmt.Sprint("affinity", i)] = s.affinityCounts[i]
		}
	}
	return all
}

func nonZero(counts topologyCounts) map[string]int64 {
	all := map[string]int64{}
	for key, values := range counts {
		for value, n := range values {
			if n != 0 {
				all[key+"="+value] = n
			}
		}
	}
	return all
}
