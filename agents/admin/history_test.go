package admin

import (
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

func configMap(value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "app", Labels: map[string]string{"app.kubernetes.io/name": "app"}},
		Data:       map[string]string{"level": value},
	}
}

func (r *fixture) as(user string, k *schema.Kind, obj schema.Object, o registry.WriteOptions) *registry.Item {
	r.t.Helper()
	ctx := registry.WithUser(r.ctx, &authenticationv1.UserInfo{Username: user})
	if obj.GetUID() == "" && o.Subresource == "" {
		if it, err := r.reg.Create(ctx, k, obj, o); err == nil {
			return it
		}
	}
	return r.must(r.reg.Update(ctx, k, obj, o))
}

// TestHistoryOfAConfigMap has writes of two users, one with etcdctl, a value that cannot be read and a deletion, and undoes them.
func TestHistoryOfAConfigMap(t *testing.T) {
	r := newFixture(t)
	const key = "/registry/configmaps/default/app"
	r.as("alice", core.ConfigMap, configMap("info"), registry.WriteOptions{})
	it := r.as("bob", core.ConfigMap, configMap("debug"), registry.WriteOptions{})
	kv, _, err := r.store.Get(r.ctx, key, 0)
	if err != nil || kv == nil {
		t.Fatal(err)
	}
	if strings.Contains(string(it.JSON), "$by") {
		t.Errorf("the write record is served: %s", it.JSON)
	}
	r.put(key, strings.Replace(string(kv.Value), "debug", "trace", 1))
	r.gantry("log", "cm", "app")
	r.gantry("diff", "configmap/app")
	r.gantry("undo", "configmap", "app", "--dry-run")
	r.gantry("undo", "configmap", "app")
	r.put(key, `{"kind":"ConfigMap"`)
	r.await("/gantry/quarantine"+key, true)
	r.gantry("quarantine")
	r.gantry("get", "configmaps", "app")
	r.gantry("undo", key)
	r.await("/gantry/quarantine"+key, false)
	if _, _, err := r.reg.Delete(registry.WithUser(r.ctx, &authenticationv1.UserInfo{Username: "carol"}), core.ConfigMap, "default", "app", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.gantry("get", "cm", "app", "-n", "default")
	r.gantry("undo", "cm", "app")
	r.gantry("get", "cm", "app", "-o", "json")
	r.gantry("log", "cm", "app", "--limit", "5")
	r.gantry("diff", "cm", "app", "--since", "1h")
	r.gantry("quarantine")
	r.golden("configmap")
}

func deployment() *appsv1.Deployment {
	replicas := int32(2)
	labels := map[string]string{"app": "web"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx:1"}}},
			},
		},
	}
}

// TestHistoryOfADeployment checks that the log separates spec from status, and that undo restores the spec.
func TestHistoryOfADeployment(t *testing.T) {
	r := newFixture(t)
	d := deployment()
	r.as("alice", apps.Deployment, d, registry.WriteOptions{})
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 2, UpdatedReplicas: 2, UnavailableReplicas: 2, Conditions: []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentAvailable, Status: "False", Reason: "MinimumReplicasUnavailable", Message: "Deployment does not have minimum availability."},
	}}
	r.as("controllers", apps.Deployment, d, registry.WriteOptions{Subresource: "status"})
	d.Spec.Template.Spec.Containers[0].Image = "nginx:2"
	d.Labels = map[string]string{"team": "a"}
	r.as("bob", apps.Deployment, d, registry.WriteOptions{})
	d.Status.Conditions[0].Status, d.Status.UnavailableReplicas = "True", 0
	last := r.as("controllers", apps.Deployment, d, registry.WriteOptions{Subresource: "status"})
	r.gantry("log", "deploy", "web")
	r.gantry("log", "deployments.apps", "web", "--status", "--limit=1")
	r.gantry("diff", "deploy", "web")
	r.gantry("undo", "deploy", "web")
	r.gantry("diff", "deploy", "web", "--rev", "6", "--rev", "8")
	r.gantry("get", "deploy", "web", "--rev", "5", "-o", "raw")
	if _, err := r.etcd.Client().Compact(r.ctx, last.Revision); err != nil {
		t.Fatal(err)
	}
	r.gantry("get", "deploy", "web", "--rev", "5")
	r.gantry("diff", "deploy", "web", "--rev", "5")
	r.gantry("log", "deploy", "web")
	r.gantry("get", "deploy", "web", "--rev", "1000")
	r.golden("deployment")
}

// TestRefusals has commands that fail: each prints why, and nothing is changed.
func TestRefusals(t *testing.T) {
	r := newFixture(t)
	r.put("/registry/pods/default/bad", "null")
	r.await("/gantry/quarantine/registry/pods/default/bad", true)
	before, err := r.store.Revision(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.gantry("quarantine")
	r.gantry("undo", "pod", "bad")
	r.gantry("undo", "/registry/pods/default/bad", "--rev", "2")
	r.gantry("undo", "namespace", "default")
	r.gantry("undo", "cm", "never")
	r.gantry("undo", "/gantry/version")
	r.gantry("get", "cm", "never")
	r.gantry("get", "sa", "default", "-o", "xml")
	r.gantry("get", "sa", "default", "-n", "a/b")
	r.gantry("log", "widgets", "a")
	r.gantry("log", "cm")
	r.gantry("diff", "sa", "default", "--since", "5m", "--rev", "3")
	r.golden("refusals")
	if now, err := r.store.Revision(r.ctx); err != nil || now != before {
		t.Errorf("revision %d before, %d after, %v", before, now, err)
	}
}

// TestLogMasksSecrets checks that the log does not print the values of a Secret.
func TestLogMasksSecrets(t *testing.T) {
	r := newFixture(t)
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s"}, Data: map[string][]byte{"password": []byte("swordfish")}}
	r.as("alice", core.Secret, s, registry.WriteOptions{})
	s.Data["password"] = []byte("tunafish")
	r.as("alice", core.Secret, s, registry.WriteOptions{})
	out := r.gantry("log", "secret", "s")
	if !strings.Contains(out, "data.password: *** -> ***") {
		t.Errorf("log:\n%s", out)
	}
}

// TestUndoVanishedPods deletes pods as etcdctl does: why says so, and undo puts them back with their uids.
func TestUndoVanishedPods(t *testing.T) {
	r := newFixture(t)
	one := int32(3)
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.ReplicaSetSpec{
		Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, Template: deployment().Spec.Template}}
	owner := r.must(r.reg.Create(r.ctx, apps.ReplicaSet, set, registry.WriteOptions{})).Object()
	var before []string
	for i := range 3 {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("web-%d", i), Labels: map[string]string{"app": "web"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, apps.ReplicaSet.GVK())}}, Spec: set.Spec.Template.Spec}
		pod.Spec.NodeName = "n1"
		before = append(before, r.must(r.reg.Create(r.ctx, core.Pod, pod, registry.WriteOptions{})).UID())
	}
	if _, err := r.etcd.Client().Delete(r.ctx, "/registry/pods/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	r.gantry("why", "pod", "web-1")
	r.put("/gantry/vanished-pods", `{"revision":9,"since":"2026-07-01T12:00:00Z","until":"2026-07-01T12:10:00Z","pods":["default/web-0","default/web-1","default/web-2"]}`)
	r.gantry("why", "pod", "web-1")
	r.gantry("why", "rs", "web")
	r.gantry("log", "pod", "web-1")
	r.put("/gantry/bynode/n1/pods/default/broken", `{"kind":"Pod"}`)
	r.gantry("undo", "pods", "--vanished", "--dry-run")
	r.gantry("undo", "services", "--vanished")
	r.gantry("undo", "pods", "--vanished")
	r.gantry("undo", "pods", "--vanished")
	r.golden("vanished")
	for i, uid := range before {
		name := fmt.Sprintf("web-%d", i)
		it, err := r.reg.Get(r.ctx, core.Pod, "default", name, "")
		if err != nil || it.UID() != uid || it.Field("spec.nodeName") != "n1" {
			t.Errorf("pod %s after undo: %v", name, err)
		}
	}
}
