package workload_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {namespace: default, name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1", ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: default, name: web, labels: {team: a}}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
`

const revision = "deployment.kubernetes.io/revision"

// progressing is the condition of this type; nil where there is none.
func progressing(d *appsv1.Deployment) *appsv1.DeploymentCondition {
	i := slices.IndexFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == appsv1.DeploymentProgressing })
	if i < 0 {
		return nil
	}
	return &d.Status.Conditions[i]
}

// rolledOut waits as `kubectl rollout status` does.
func rolledOut(c *controllertest.Cluster, name string) *appsv1.Deployment {
	c.T.Helper()
	var d *appsv1.Deployment
	c.Until(func() string {
		var ok bool
		d, ok = controllertest.Get[*appsv1.Deployment](c, "default", name)
		switch s := d; {
		case !ok:
			return "the deployment"
		case s.Generation > s.Status.ObservedGeneration:
			return "the deployment to be observed"
		case s.Status.UpdatedReplicas < *s.Spec.Replicas:
			return fmt.Sprintf("%d of %d updated", s.Status.UpdatedReplicas, *s.Spec.Replicas)
		case s.Status.Replicas > s.Status.UpdatedReplicas:
			return "old replicas to go"
		case s.Status.AvailableReplicas < s.Status.UpdatedReplicas:
			return "replicas to be available"
		}
		return ""
	}, apps.Deployment)
	return d
}

func change(c *controllertest.Cluster, name string, change func(*appsv1.Deployment)) {
	c.T.Helper()
	_, err := registry.For[*appsv1.Deployment](c.Registry).Modify(c.Context, "default", name, func(d *appsv1.Deployment) error {
		change(d)
		return nil
	})
	if err != nil {
		c.T.Fatal(err)
	}
}

func image(to string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = to }
}

func TestDeploymentRunsAndIsReachable(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	d := rolledOut(c, "web")
	if d.Annotations[revision] != "1" {
		t.Errorf("revision %q, want 1", d.Annotations[revision])
	}
	c.Until(func() string {
		slices := controllertest.List[*discoveryv1.EndpointSlice](c, "default", "kubernetes.io/service-name=web")
		if len(slices) != 1 || len(slices[0].Endpoints) != 3 {
			return "one slice of three endpoints"
		}
		es := slices[0]
		if got := *es.Ports[0].Port; got != 8080 {
			t.Errorf("port %d, want 8080", got)
		}
		if es.Labels["team"] != "a" || es.Labels[discoveryv1.LabelManagedBy] != "endpointslice-controller.k8s.io" {
			t.Errorf("labels %v", es.Labels)
		}
		for _, e := range es.Endpoints {
			if !*e.Conditions.Ready || *e.NodeName != "n1" || *e.Zone != "z1" {
				return "ready endpoints on n1 in z1"
			}
		}
		ep, ok := controllertest.Get[*corev1.Endpoints](c, "default", "web")
		if !ok || len(ep.Subsets) != 1 || len(ep.Subsets[0].Addresses) != 3 {
			return "endpoints of three addresses"
		}
		return ""
	}, discovery.EndpointSlice, core.Endpoints)
	c.Until(func() string {
		if r := c.Events("web"); !slices.Contains(r, "deployment-controller ScalingReplicaSet") {
			return fmt.Sprintf("the event ScalingReplicaSet, have %v", r)
		}
		return ""
	}, core.Event)
}

func TestDeploymentUpdateUndoAndHistory(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	rolledOut(c, "web")
	for i := 2; i <= 4; i++ {
		change(c, "web", func(d *appsv1.Deployment) {
			image(fmt.Sprintf("web:%d", i))(d)
			two := int32(2)
			d.Spec.RevisionHistoryLimit = &two
		})
		d := rolledOut(c, "web")
		if got := d.Annotations[revision]; got != fmt.Sprint(i) {
			t.Fatalf("revision %s, want %d", got, i)
		}
	}
	c.Until(func() string {
		if n := len(controllertest.List[*appsv1.ReplicaSet](c, "default", "")); n != 3 {
			return fmt.Sprintf("3 replica sets (one current, two of history), have %d", n)
		}
		return ""
	}, apps.ReplicaSet)
	change(c, "web", image("web:2")) // kubectl rollout undo --to-revision=2
	d := rolledOut(c, "web")
	if got := d.Annotations[revision]; got != "5" {
		t.Errorf("revision %s after undo, want 5", got)
	}
	for _, p := range controllertest.List[*corev1.Pod](c, "default", "") {
		if p.DeletionTimestamp == nil && p.Spec.Containers[0].Image != "web:2" {
			t.Errorf("pod %s runs %s", p.Name, p.Spec.Containers[0].Image)
		}
	}
	c.Until(func() string {
		cond := progressing(d)
		d, _ = controllertest.Get[*appsv1.Deployment](c, "default", "web")
		if cond == nil || cond.Reason != "NewReplicaSetAvailable" {
			return "the condition NewReplicaSetAvailable"
		}
		return ""
	}, apps.Deployment)
}

// A leader that ends in the middle of a rollout changes nothing: each revision has its replica set once, with as many pods as it wants.
func TestDeploymentRollsOutOverFailOvers(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	var mu sync.Mutex
	made := map[string]map[types.UID]bool{} // pods by image
	end := c.FollowPods(func(p *corev1.Pod, _ bool) {
		mu.Lock()
		defer mu.Unlock()
		image := p.Spec.Containers[0].Image
		if made[image] == nil {
			made[image] = map[types.UID]bool{}
		}
		made[image][p.UID] = true
	})
	t.Cleanup(end)
	c.Apply(web)
	c.Restart()
	rolledOut(c, "web")
	for i := 2; i <= 3; i++ {
		to := fmt.Sprintf("web:%d", i)
		change(c, "web", image(to))
		there := map[types.UID]bool{}
		for n := 1; n <= 3; n++ {
			c.Until(func() string {
				for _, p := range controllertest.List[*corev1.Pod](c, "default", "") {
					if p.Spec.Containers[0].Image == to {
						there[p.UID] = true
					}
				}
				if len(there) < n {
					return fmt.Sprintf("pod %d of %s", n, to)
				}
				return ""
			}, core.Pod)
			c.Restart()
		}
		if d := rolledOut(c, "web"); d.Annotations[revision] != fmt.Sprint(i) {
			t.Errorf("revision %s, want %d", d.Annotations[revision], i)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, image := range []string{"web:1", "web:2", "web:3"} {
		if n := len(made[image]); n != 3 {
			t.Errorf("%d pods of %s were made, want 3", n, image)
		}
	}
	if n := len(controllertest.List[*appsv1.ReplicaSet](c, "default", "")); n != 3 {
		t.Errorf("%d replica sets for 3 revisions", n)
	}
}

func TestDeploymentRecreateNeverMixes(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	change(c, "web", func(d *appsv1.Deployment) {
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	})
	rolledOut(c, "web")
	change(c, "web", image("web:2"))
	c.Until(func() string {
		images := map[string]int{}
		for _, p := range controllertest.List[*corev1.Pod](c, "default", "") {
			images[p.Spec.Containers[0].Image]++
		}
		if len(images) > 1 {
			t.Fatalf("pods of both templates at a time: %v", images)
		}
		if images["web:2"] != 3 {
			return "three new pods"
		}
		return ""
	}, core.Pod)
	rolledOut(c, "web")
}

func TestDeploymentStuckRolloutKeepsServing(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	rolledOut(c, "web")
	bad := func(p *corev1.Pod) bool { return p.Spec.Containers[0].Image == "web:bad" }
	c.Broken.Store(&bad)
	change(c, "web", func(d *appsv1.Deployment) {
		image("web:bad")(d)
		one := int32(1)
		d.Spec.ProgressDeadlineSeconds = &one
	})
	c.Until(func() string {
		d, _ := controllertest.Get[*appsv1.Deployment](c, "default", "web")
		if cond := progressing(d); cond == nil || cond.Reason != "ProgressDeadlineExceeded" {
			return "the condition ProgressDeadlineExceeded"
		}
		if d.Status.AvailableReplicas < 3 {
			t.Fatalf("%d replicas available, want 3", d.Status.AvailableReplicas)
		}
		return ""
	}, apps.Deployment)
	change(c, "web", image("web:1"))
	rolledOut(c, "web")
}

func TestDeploymentDeletionCascades(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	rolledOut(c, "web")
	for _, propagation := range []string{"Background", "Foreground"} {
		if err := registry.For[*appsv1.Deployment](c.Registry).Delete(c.Context, "default", "web", registry.DeleteOptions{Propagation: propagation}); err != nil {
			t.Fatal(err)
		}
		c.Until(func() string {
			d, _ := controllertest.Get[*appsv1.Deployment](c, "default", "web")
			n, sets := len(controllertest.List[*corev1.Pod](c, "default", "")), len(controllertest.List[*appsv1.ReplicaSet](c, "default", ""))
			if propagation == "Foreground" && d == nil && n+sets > 0 {
				t.Fatalf("the deployment is gone before its %d replica sets and %d pods", sets, n)
			}
			if d != nil || n+sets > 0 {
				return fmt.Sprintf("%s: %d replica sets and %d pods to go", propagation, sets, n)
			}
			return ""
		}, apps.Deployment, apps.ReplicaSet, core.Pod)
		c.Apply(web)
		rolledOut(c, "web")
	}
}

func TestDeploymentDeletionOrphans(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	rolledOut(c, "web")
	before := controllertest.List[*appsv1.ReplicaSet](c, "default", "")[0]
	if err := registry.For[*appsv1.Deployment](c.Registry).Delete(c.Context, "default", "web", registry.DeleteOptions{Propagation: "Orphan"}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, ok := controllertest.Get[*appsv1.Deployment](c, "default", "web"); ok {
			return "the deployment to go"
		}
		rs, ok := controllertest.Get[*appsv1.ReplicaSet](c, "default", before.Name)
		if !ok || len(rs.OwnerReferences) > 0 {
			return "the replica set to be an orphan"
		}
		return ""
	}, apps.Deployment, apps.ReplicaSet)
	c.Apply(web) // adopts it
	rolledOut(c, "web")
	after := controllertest.List[*appsv1.ReplicaSet](c, "default", "")
	if len(after) != 1 || after[0].UID != before.UID {
		t.Errorf("%d replica sets, want the one there was", len(after))
	}
}

func TestThousandPodsAreMadeOnce(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(web)
	rolledOut(c, "web")
	n := int32(1000)
	change(c, "web", func(d *appsv1.Deployment) { d.Spec.Replicas = &n })
	c.Until(func() string {
		if got := len(controllertest.List[*corev1.Pod](c, "default", "")); got != 1000 {
			if got > 1000 {
				t.Fatalf("%d pods, want 1000", got)
			}
			return fmt.Sprintf("1000 pods, have %d", got)
		}
		return ""
	}, core.Pod)
	rolledOut(c, "web")
	if got := len(controllertest.List[*corev1.Pod](c, "default", "")); got != 1000 {
		t.Fatalf("%d pods, want 1000", got)
	}
	c.Until(func() string {
		total := 0
		for _, es := range controllertest.List[*discoveryv1.EndpointSlice](c, "default", "kubernetes.io/service-name=web") {
			total += len(es.Endpoints)
			if len(es.Endpoints) > 100 {
				t.Fatalf("a slice of %d endpoints", len(es.Endpoints))
			}
		}
		if total != 1000 {
			return fmt.Sprintf("1000 endpoints, have %d", total)
		}
		return ""
	}, discovery.EndpointSlice)
}
