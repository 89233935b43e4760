package clientgo

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	applyappsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/tools/record"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/retry"
)

// makeScalable makes a web of each built-in kind with the subresource scale, without replicas.
func makeScalable(t *testing.T, set kubernetes.Interface, namespace string) {
	t.Helper()
	meta, chosen, none := metav1.ObjectMeta{Name: "web"}, map[string]string{"app": "web"}, int32(0)
	selector := &metav1.LabelSelector{MatchLabels: chosen}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: chosen}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
	}
	ctx, options, apps := t.Context(), metav1.CreateOptions{}, set.AppsV1()
	_, err := apps.Deployments(namespace).Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &none, Selector: selector, Template: template}}, options)
	must(t, err)
	_, err = apps.ReplicaSets(namespace).Create(ctx, &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Replicas: &none, Selector: selector, Template: template}}, options)
	must(t, err)
	_, err = apps.StatefulSets(namespace).Create(ctx, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &none, Selector: selector, Template: template}}, options)
	must(t, err)
	rc := &corev1.ReplicationController{ObjectMeta: meta, Spec: corev1.ReplicationControllerSpec{Replicas: &none, Selector: chosen, Template: &template}}
	_, err = set.CoreV1().ReplicationControllers(namespace).Create(ctx, rc, options)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTypedClients uses every verb of the typed client in each content type.
func TestTypedClients(t *testing.T) {
	for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		t.Run(contentType, func(t *testing.T) {
			config := rest.CopyConfig(plane.Config)
			config.ContentType, config.AcceptContentTypes = contentType, contentType+","+runtime.ContentTypeJSON
			set, err := kubernetes.NewForConfig(config)
			must(t, err)
			namespace := plane.Namespace(t)
			deployments := set.AppsV1().Deployments(namespace)
			makeScalable(t, set, namespace)
			d, err := deployments.Get(t.Context(), "web", metav1.GetOptions{})
			must(t, err)
			if d.Spec.RevisionHistoryLimit == nil || *d.Spec.RevisionHistoryLimit != 10 {
				t.Error("no defaults")
			}
			list, err := deployments.List(t.Context(), metav1.ListOptions{LabelSelector: "absent"})
			must(t, err)
			if len(list.Items) != 0 {
				t.Errorf("%d items with an absent label", len(list.Items))
			}
			w, err := deployments.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=web"})
			must(t, err)
			defer w.Stop()
			if e := <-w.ResultChan(); e.Type != watch.Added || e.Object.(*appsv1.Deployment).Name != "web" {
				t.Errorf("the first event is %s %T", e.Type, e.Object)
			}
			d.Annotations = map[string]string{"note": "ö"}
			must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
				fresh, err := deployments.Get(t.Context(), "web", metav1.GetOptions{})
				if err != nil {
					return err
				}
				fresh.Annotations = d.Annotations
				_, err = deployments.Update(t.Context(), fresh, metav1.UpdateOptions{})
				return err
			}))
			scale, err := deployments.UpdateScale(t.Context(), "web", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 1}}, metav1.UpdateOptions{})
			must(t, err)
			if scale.Spec.Replicas != 1 {
				t.Errorf("scaled to %d", scale.Spec.Replicas)
			}
			d, err = deployments.Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
			must(t, err)
			if d.Labels["a"] != "b" || d.Annotations["note"] != "ö" {
				t.Errorf("labels %v, annotations %v", d.Labels, d.Annotations)
			}
			_, err = deployments.Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "Bad"}}, metav1.CreateOptions{})
			if status := (&apierrors.StatusError{}); !apierrors.IsInvalid(err) {
				t.Errorf("an invalid deployment: %v", err)
			} else if status = err.(*apierrors.StatusError); len(status.ErrStatus.Details.Causes) < 3 {
				t.Errorf("causes: %v", status.ErrStatus.Details.Causes)
			}
			must(t, deployments.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "a=b"}))
			if _, err := deployments.Get(t.Context(), "web", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("after the deletion: %v", err)
			}
		})
	}
}

// TestRetryOnConflict counts in one object from several clients.
func TestRetryOnConflict(t *testing.T) {
	set, namespace := plane.Clientset(t), plane.Namespace(t)
	makeMap(t, set, namespace, "counter")
	done := make(chan error, 8)
	for range cap(done) {
		go func() {
			done <- retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				cm, err := set.CoreV1().ConfigMaps(namespace).Get(t.Context(), "counter", metav1.GetOptions{})
				if err != nil {
					return err
				}
				cm.Data["n"] += "+"
				_, err = set.CoreV1().ConfigMaps(namespace).Update(t.Context(), cm, metav1.UpdateOptions{})
				return err
			})
		}()
	}
	succeeded := 0
	for range cap(done) {
		if err := <-done; err == nil {
			succeeded++
		} else if !apierrors.IsConflict(err) {
			t.Error(err)
		}
	}
	cm, err := set.CoreV1().ConfigMaps(namespace).Get(t.Context(), "counter", metav1.GetOptions{})
	must(t, err)
	if len(cm.Data["n"]) != 1+succeeded || succeeded == 0 {
		t.Errorf("%d updates succeeded, the object has %q", succeeded, cm.Data["n"])
	}
}

// TestApplyConfigurations applies typed configurations, extracts what a manager owns, and meets a conflict.
func TestApplyConfigurations(t *testing.T) {
	set, namespace := plane.Clientset(t), plane.Namespace(t)
	deployments := set.AppsV1().Deployments(namespace)
	config := applyappsv1.Deployment("web", namespace).WithSpec(applyappsv1.DeploymentSpec().WithReplicas(1).
		WithSelector(applymetav1.LabelSelector().WithMatchLabels(map[string]string{"app": "web"})).
		WithTemplate(applycorev1.PodTemplateSpec().WithLabels(map[string]string{"app": "web"}).
			WithSpec(applycorev1.PodSpec().WithContainers(applycorev1.Container().WithName("web").WithImage("web:1")))))
	d, err := deployments.Apply(t.Context(), config, metav1.ApplyOptions{FieldManager: "one"})
	must(t, err)
	extracted, err := applyappsv1.ExtractDeployment(d, "one")
	must(t, err)
	if extracted.Spec == nil || extracted.Spec.Replicas == nil || *extracted.Spec.Replicas != 1 || len(extracted.Spec.Template.Spec.Containers) != 1 || extracted.Spec.RevisionHistoryLimit != nil {
		t.Errorf("extracted %+v", extracted.Spec)
	}
	replicas := applyappsv1.Deployment("web", namespace).WithSpec(applyappsv1.DeploymentSpec().WithReplicas(2))
	if _, err := deployments.Apply(t.Context(), replicas, metav1.ApplyOptions{FieldManager: "two"}); !apierrors.IsConflict(err) {
		t.Errorf("a second manager of the field: %v", err)
	}
	d, err = deployments.Apply(t.Context(), replicas, metav1.ApplyOptions{FieldManager: "two", Force: true})
	must(t, err)
	if *d.Spec.Replicas != 2 {
		t.Errorf("%d replicas", *d.Spec.Replicas)
	}
	condition := applyappsv1.DeploymentCondition().WithType("Mine").WithStatus(corev1.ConditionTrue).WithReason("r").WithMessage("m")
	status := applyappsv1.Deployment("web", namespace).WithStatus(applyappsv1.DeploymentStatus().WithConditions(condition))
	d, err = deployments.ApplyStatus(t.Context(), status, metav1.ApplyOptions{FieldManager: "three"})
	must(t, err)
	fromStatus, err := applyappsv1.ExtractDeploymentStatus(d, "three")
	must(t, err)
	if fromStatus.Status == nil || len(fromStatus.Status.Conditions) != 1 {
		t.Errorf("extracted from the status: %+v", fromStatus.Status)
	}
}

// TestDynamicAndMetadataClients changes an object by the clients that know no types.
func TestDynamicAndMetadataClients(t *testing.T) {
	namespace := plane.Namespace(t)
	client, err := dynamic.NewForConfig(plane.Config)
	must(t, err)
	maps := client.Resource(configMaps).Namespace(namespace)
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}, "data": map[string]any{"x": "1"}}}
	obj, err = maps.Create(t.Context(), obj, metav1.CreateOptions{})
	must(t, err)
	must(t, unstructured.SetNestedField(obj.Object, "2", "data", "x"))
	_, err = maps.Update(t.Context(), obj, metav1.UpdateOptions{})
	must(t, err)
	if _, err := maps.Update(t.Context(), obj, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("a stale update: %v", err)
	}
	applied, err := maps.Apply(t.Context(), "a", &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}, "data": map[string]any{"y": "1"}}},
		metav1.ApplyOptions{FieldManager: "m"})
	must(t, err)
	if data, _, _ := unstructured.NestedStringMap(applied.Object, "data"); data["x"] != "2" || data["y"] != "1" {
		t.Errorf("data %v", data)
	}
	only, err := metadata.NewForConfig(plane.Config)
	must(t, err)
	m, err := only.Resource(configMaps).Namespace(namespace).Patch(t.Context(), "a", types.MergePatchType, []byte(`{"metadata":{"labels":{"l":"1"}}}`), metav1.PatchOptions{})
	must(t, err)
	if m.Name != "a" || m.Labels["l"] != "1" {
		t.Errorf("the answer is %s with labels %v", m.Name, m.Labels)
	}
	list, err := only.Resource(configMaps).Namespace(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "l"})
	must(t, err)
	if len(list.Items) != 1 {
		t.Errorf("%d items", len(list.Items))
	}
	must(t, only.Resource(configMaps).Namespace(namespace).Delete(t.Context(), "a", metav1.DeleteOptions{}))
}

// TestPager lists in pieces, with a list that goes on after the objects changed.
func TestPager(t *testing.T) {
	set, namespace := plane.Clientset(t), plane.Namespace(t)
	for i := range 25 {
		makeMap(t, set, namespace, fmt.Sprintf("m%02d", i))
	}
	p := pager.New(pager.SimplePageFunc(func(o metav1.ListOptions) (runtime.Object, error) {
		return set.CoreV1().ConfigMaps(namespace).List(t.Context(), o)
	}))
	p.PageSize = 7
	seen := 0
	must(t, p.EachListItem(t.Context(), metav1.ListOptions{LabelSelector: "made"}, func(runtime.Object) error {
		if seen++; seen == 3 {
			return set.CoreV1().ConfigMaps(namespace).Delete(t.Context(), "m24", metav1.DeleteOptions{})
		}
		return nil
	}))
	if seen != 25 {
		t.Errorf("%d items, want those of the first page's revision: 25", seen)
	}
}

// TestWatchTools waits for conditions with the watchers that follow a list and that go on after an interruption.
func TestWatchTools(t *testing.T) {
	set, namespace := plane.Clientset(t), plane.Namespace(t)
	cm := makeMap(t, set, namespace, "a")
	w, err := watchtools.NewRetryWatcherWithContext(t.Context(), cm.ResourceVersion, watcherFunc(func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		return set.CoreV1().ConfigMaps(namespace).Watch(ctx, o)
	}))
	must(t, err)
	defer w.Stop()
	makeMap(t, set, namespace, "b")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e, err := watchtools.UntilWithoutRetry(ctx, w, func(e watch.Event) (bool, error) { return e.Type == watch.Added, nil })
	if err != nil || e.Object.(*corev1.ConfigMap).Name != "b" {
		t.Errorf("%v, %v", e, err)
	}
}

type watcherFunc func(context.Context, metav1.ListOptions) (watch.Interface, error)

func (f watcherFunc) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	return f(ctx, o)
}

// TestLeaderElection has two candidates: when the leader gives up, the other leads.
func TestLeaderElection(t *testing.T) {
	set, namespace := plane.Clientset(t), plane.Namespace(t)
	var leader atomic.Value
	leader.Store("")
	run := func(ctx context.Context, name string) chan struct{} {
		lock, err := resourcelock.New(resourcelock.LeasesResourceLock, namespace, "lock", set.CoreV1(), set.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: name})
		must(t, err)
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 5 * time.Second, RenewDeadline: 4 * time.Second, RetryPeriod: 200 * time.Millisecond, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leader.Store(name) }, OnStoppedLeading: func() {},
			},
		})
		must(t, err)
		ended := make(chan struct{})
		go func() { elector.Run(ctx); close(ended) }()
		return ended
	}
	first, stopFirst := context.WithCancel(t.Context())
	second, stopSecond := context.WithCancel(t.Context())
	defer stopSecond()
	firstEnded := run(first, "first")
	until(t, "a leader", func() bool { return leader.Load() == "first" })
	secondEnded := run(second, "second")
	stopFirst()
	<-firstEnded
	until(t, "the next leader", func() bool { return leader.Load() == "second" })
	lease, err := set.CoordinationV1().Leases(namespace).Get(t.Context(), "lock", metav1.GetOptions{})
	must(t, err)
	if *lease.Spec.HolderIdentity != "second" || *lease.Spec.LeaseTransitions < 1 {
		t.Errorf("the lease is %+v", lease.Spec)
	}
	stopSecond()
	<-secondEnded
}

// TestEventRecorders records the same event several times by both recorders: each counts in one object.
func TestEventRecorders(t *testing.T) {
	set, namespace := plane.Clientset(t), plane.Namespace(t)
	cm := makeMap(t, set, namespace, "about")
	cm.APIVersion, cm.Kind = "v1", "ConfigMap"

	old := record.NewBroadcaster()
	defer old.Shutdown()
	old.StartRecordingToSink(&typedSink{set, namespace})
	recorder := old.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "old"})
	for range 3 {
		recorder.Eventf(cm, corev1.EventTypeNormal, "Counted", "number %d", 1)
	}
	until(t, "an event that counts 3", func() bool {
		list, err := set.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=Counted,involvedObject.name=about,source=old"})
		must(t, err)
		return len(list.Items) == 1 && list.Items[0].Count == 3
	})

	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: set.EventsV1()})
	defer broadcaster.Shutdown()
	must(t, broadcaster.StartRecordingToSinkWithContext(t.Context()))
	newer := broadcaster.NewRecorder(scheme.Scheme, "new.example.com/recorder")
	for range 3 {
		newer.Eventf(cm, nil, corev1.EventTypeWarning, "Repeated", "Testing", "number %d", 1)
	}
	until(t, "an event with a series", func() bool {
		list, err := set.EventsV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=Repeated"})
		must(t, err)
		return len(list.Items) == 1 && hasSeries(list.Items[0])
	})
	list, err := set.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=Repeated,reportingComponent=new.example.com/recorder"})
	must(t, err)
	if len(list.Items) != 1 || list.Items[0].InvolvedObject.Name != "about" || list.Items[0].Action != "Testing" {
		t.Errorf("as v1: %+v", list.Items)
	}
}

func hasSeries(e eventsv1.Event) bool { return e.Series != nil && e.Series.Count >= 2 }

// typedSink writes the events of the old recorder.
type typedSink struct {
	set       kubernetes.Interface
	namespace string
}

func (s *typedSink) Create(e *corev1.Event) (*corev1.Event, error) {
	return s.set.CoreV1().Events(s.namespace).CreateWithEventNamespaceWithContext(context.Background(), e)
}

func (s *typedSink) Update(e *corev1.Event) (*corev1.Event, error) {
	return s.set.CoreV1().Events(s.namespace).UpdateWithEventNamespaceWithContext(context.Background(), e)
}

func (s *typedSink) Patch(e *corev1.Event, data []byte) (*corev1.Event, error) {
	return s.set.CoreV1().Events(s.namespace).PatchWithEventNamespaceWithContext(context.Background(), e, data)
}
