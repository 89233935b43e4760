package controllerruntime

import (
	"context"
	"fmt"
	"testing"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"gantry/integration/clients/cluster"
)

var (
	plane *cluster.Cluster
	env   *envtest.Environment
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	cluster.Main(m, func() (func(), error) {
		var err error
		if plane, err = cluster.StartPlane(); err != nil {
			return nil, err
		}
		existing := true
		config, err := clientcmd.BuildConfigFromFlags("", plane.Kubeconfig())
		if err != nil {
			return nil, err
		}
		env = &envtest.Environment{UseExistingCluster: &existing, Config: config}
		if _, err := env.Start(); err != nil {
			plane.Stop()
			return nil, err
		}
		return func() {
			if err := env.Stop(); err != nil {
				fmt.Println("stopping envtest:", err)
			}
			plane.Stop()
		}, nil
	})
}

const (
	finalizer = "clients.example.com/confirm"
	owner     = client.FieldOwner("mirror")
)

// mirror keeps, for each Deployment, an owned config map with its number of replicas, a condition in its status, a label that it applies, and a
// finalizer; it removes the config map before the Deployment goes.
type mirror struct{ client.Client }

func (m mirror) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	d := &appsv1.Deployment{}
	if err := m.Get(ctx, req.NamespacedName, d); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	shadow := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: d.Name + "-mirror", Namespace: d.Namespace}}
	if d.DeletionTimestamp != nil {
		if err := m.Delete(ctx, shadow); client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, err
		}
		if controllerutil.RemoveFinalizer(d, finalizer) {
			return ctrl.Result{}, m.Update(ctx, d)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(d, finalizer) {
		if err := m.Update(ctx, d); err != nil {
			return ctrl.Result{}, err
		}
	}
	_, err := controllerutil.CreateOrUpdate(ctx, m.Client, shadow, func() error {
		shadow.Data = map[string]string{"replicas": fmt.Sprint(*d.Spec.Replicas)}
		return controllerutil.SetControllerReference(d, shadow, m.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := m.Apply(ctx, applycorev1.ConfigMap(shadow.Name, shadow.Namespace).WithLabels(map[string]string{"by": "apply"}), owner); err != nil {
		return ctrl.Result{}, err
	}
	before := d.DeepCopy()
	for i, c := range d.Status.Conditions {
		if c.Type == "Mirrored" {
			d.Status.Conditions = append(d.Status.Conditions[:i], d.Status.Conditions[i+1:]...)
			break
		}
	}
	d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{Type: "Mirrored", Status: corev1.ConditionTrue, Reason: "Made", Message: fmt.Sprint(*d.Spec.Replicas)})
	return ctrl.Result{}, m.Status().Patch(ctx, d, client.MergeFrom(before))
}

// TestManager runs a manager with a cache, leader election and a reconciler against envtest's existing cluster.
func TestManager(t *testing.T) {
	namespace := plane.Namespace(t)
	manager, err := ctrl.NewManager(env.Config, ctrl.Options{
		Metrics: metricsserver.Options{BindAddress: "0"}, LeaderElection: true, LeaderElectionID: "mirror", LeaderElectionNamespace: namespace, LeaderElectionReleaseOnCancel: true,
		Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = manager.GetFieldIndexer().IndexField(t.Context(), &corev1.Pod{}, "spec.nodeName", func(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} })
	if err != nil {
		t.Fatal(err)
	}
	if err := ctrl.NewControllerManagedBy(manager).For(&appsv1.Deployment{}).Owns(&corev1.ConfigMap{}).Complete(mirror{manager.GetClient()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	direct, err := client.New(env.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	useMirror(t, direct, manager.GetClient(), namespace)
}

func useMirror(t *testing.T, direct, cached client.Client, namespace string) {
	replicas, chosen := int32(2), map[string]string{"app": "web"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: chosen},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: chosen}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}}},
	}}
	must(t, direct.Create(t.Context(), d))
	key, shadow := client.ObjectKeyFromObject(d), &corev1.ConfigMap{}
	mirrored := func(want string) {
		t.Helper()
		cluster.Until(t, func(ctx context.Context) string {
			if err := direct.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "web-mirror"}, shadow); err != nil {
				return err.Error()
			}
			must(t, direct.Get(ctx, key, d))
			for _, c := range d.Status.Conditions {
				if c.Type == "Mirrored" && c.Message == want && shadow.Data["replicas"] == want && shadow.Labels["by"] == "apply" && d.Status.ReadyReplicas == *d.Spec.Replicas {
					return ""
				}
			}
			return fmt.Sprintf("the mirror has %v and labels %v, the status %+v", shadow.Data, shadow.Labels, d.Status)
		})
	}
	mirrored("2")
	patched := d.DeepCopy()
	*patched.Spec.Replicas = 3
	must(t, direct.Patch(t.Context(), patched, client.StrategicMergeFrom(d)))
	mirrored("3")
	if o := metav1.GetControllerOf(shadow); o == nil || o.UID != d.UID {
		t.Errorf("the owner is %+v", o)
	}
	must(t, direct.Delete(t.Context(), shadow)) // it comes back
	cluster.Until(t, func(ctx context.Context) string {
		again := &corev1.ConfigMap{}
		if err := direct.Get(ctx, client.ObjectKeyFromObject(shadow), again); err != nil || again.UID == shadow.UID {
			return fmt.Sprintf("the mirror is not there again: %v", err)
		}
		return ""
	})
	var pods corev1.PodList
	cluster.Until(t, func(ctx context.Context) string {
		must(t, cached.List(ctx, &pods, client.InNamespace(namespace), client.MatchingFields{"spec.nodeName": plane.Node}, client.MatchingLabels(chosen)))
		if len(pods.Items) != 3 {
			return fmt.Sprintf("the cache has %d pods", len(pods.Items))
		}
		return ""
	})
	stale := d.DeepCopy()
	stale.ResourceVersion = "1"
	if err := direct.Patch(t.Context(), d.DeepCopy(), client.MergeFromWithOptions(stale, client.MergeFromWithOptimisticLock{})); !apierrors.IsConflict(err) {
		t.Errorf("a patch with an old resource version: %v", err)
	}
	must(t, direct.DeleteAllOf(t.Context(), &appsv1.Deployment{}, client.InNamespace(namespace), client.PropagationPolicy(metav1.DeletePropagationForeground)))
	cluster.Until(t, func(ctx context.Context) string {
		must(t, direct.List(ctx, &pods, client.InNamespace(namespace)))
		if err := direct.Get(ctx, key, d); !apierrors.IsNotFound(err) || len(pods.Items) > 0 {
			return fmt.Sprintf("the deployment is there with %d pods: %v", len(pods.Items), err)
		}
		return ""
	})
	if err := direct.Get(t.Context(), client.ObjectKeyFromObject(shadow), shadow); !apierrors.IsNotFound(err) {
		t.Errorf("the mirror after the deletion: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
