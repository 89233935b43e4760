package admit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/scheduling"
)

// objects is a Reader over a map by "<plural>/<namespace>/<name>".
type objects map[string]schema.Object

func (o objects) Serves(group, plural string) bool { return true }

func (o objects) KindOf(string, string) *schema.Kind { return nil }

func (o objects) Has(group, plural, namespace string) bool {
	list, _ := o.List(context.Background(), "", plural, namespace)
	return len(list) > 0
}

func (o objects) Find(_ context.Context, _, plural, namespace, name string) (admit.Found, error) {
	key := plural + "/" + namespace + "/" + name
	return admit.Found{Object: o[key], Kind: core.ConfigMap, Key: key}, nil
}

func (o objects) Latest(ctx context.Context, group, plural, namespace, name string) (admit.Found, error) {
	return o.Find(ctx, group, plural, namespace, name)
}

func (o objects) List(_ context.Context, _, plural, namespace string) (out []schema.Object, err error) {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if strings.HasPrefix(key, plural+"/"+namespace+"/") {
			out = append(out, o[key])
		}
	}
	return out, nil
}

func (o objects) ListLatest(ctx context.Context, group, plural, namespace string) ([]schema.Object, error) {
	return o.List(ctx, group, plural, namespace)
}

func (o objects) Get(_ context.Context, key admit.Key) (admit.KV, error) {
	return admit.KV{Key: key}, nil
}

func (o objects) Refresh() bool { return false }

func cluster() objects {
	return objects{
		"namespaces//default":             &corev1.Namespace{},
		"namespaces//going":               &corev1.Namespace{Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}},
		"serviceaccounts/default/default": &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}},
	}
}

func newPod(f func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "init"}},
			Containers:     []corev1.Container{{Name: "main"}},
		},
	}
	if f != nil {
		f(p)
	}
	return p
}

func create(t *testing.T, o objects, k *schema.Kind, obj schema.Object) error {
	t.Helper()
	return run(o, &admit.Request{Operation: admit.Create, Kind: k, Namespace: obj.GetNamespace(), Name: obj.GetName(), Object: obj})
}

// run asks the built-in rules in both phases.
func run(o objects, q *admit.Request) error {
	rules := admit.BuiltIn()
	if q.User == nil {
		q.User = &authenticationv1.UserInfo{Username: "jane"}
	}
	if err := rules.Mutate(context.Background(), o, q); err != nil {
		return err
	}
	return rules.Validate(context.Background(), o, q)
}

func TestPodIsGivenItsAccountAndToken(t *testing.T) {
	w := cluster()
	w["serviceaccounts/default/default"].(*corev1.ServiceAccount).ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	p := newPod(nil)
	if err := create(t, w, core.Pod, p); err != nil {
		t.Fatal(err)
	}
	if p.Spec.ServiceAccountName != "default" || p.Spec.DeprecatedServiceAccount != "default" || len(p.Spec.ImagePullSecrets) != 1 {
		t.Errorf("spec %+v", p.Spec)
	}
	if len(p.Spec.Volumes) != 1 || !strings.HasPrefix(p.Spec.Volumes[0].Name, "kube-api-access-") {
		t.Fatalf("volumes %+v", p.Spec.Volumes)
	}
	want := []corev1.VolumeMount{{Name: p.Spec.Volumes[0].Name, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}}
	for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
		if diff := cmp.Diff(want, c.VolumeMounts); diff != "" {
			t.Errorf("container %s: %s", c.Name, diff)
		}
	}
	s := p.Spec.Volumes[0].Projected.Sources
	if len(s) != 3 || *s[0].ServiceAccountToken.ExpirationSeconds != 3607 || s[1].ConfigMap.Name != "kube-root-ca.crt" || s[2].DownwardAPI.Items[0].FieldRef.FieldPath != "metadata.namespace" {
		t.Errorf("sources %+v", s)
	}
}

func TestTokenIsNotMounted(t *testing.T) {
	no, yes := false, true
	own := corev1.VolumeMount{Name: "mine", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}
	for _, c := range []struct {
		name    string
		account *bool
		pod     func(*corev1.Pod)
		volumes int
	}{
		{"the pod says no", &yes, func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = &no }, 0},
		{"the account says no", &no, nil, 0},
		{"the account says no, the pod yes", &no, func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = &yes }, 1},
		{"every container has its own", nil, func(p *corev1.Pod) {
			p.Spec.InitContainers[0].VolumeMounts = []corev1.VolumeMount{own}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{own}
		}, 0},
		{"one has its own", nil, func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{own} }, 1},
		{"it is there already", nil, func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: "kube-api-access-abcde"}} }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := cluster()
			w["serviceaccounts/default/default"].(*corev1.ServiceAccount).AutomountServiceAccountToken = c.account
			p := newPod(c.pod)
			if err := create(t, w, core.Pod, p); err != nil || len(p.Spec.Volumes) != c.volumes {
				t.Errorf("%d volumes, want %d, %v", len(p.Spec.Volumes), c.volumes, err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	secretEnv := []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}}}
	five := int32(5)
	for _, c := range []struct {
		name string
		pod  func(*corev1.Pod)
		want string
	}{
		{"no such account", func(p *corev1.Pod) { p.Spec.ServiceAccountName = "bot" }, `error looking up service account default/bot: serviceaccount "bot" not found`},
		{"no such namespace", func(p *corev1.Pod) { p.Namespace = "nowhere" }, `namespaces "nowhere" not found`},
		{"a namespace on its way out", func(p *corev1.Pod) { p.Namespace = "going" }, "unable to create new content in namespace going because it is being terminated"},
		{"no such class", func(p *corev1.Pod) { p.Spec.PriorityClassName = "vip" }, "no PriorityClass with name vip was found"},
		{"a priority of its own", func(p *corev1.Pod) { p.Spec.Priority = &five }, "the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name"},
		{"a mirror pod with an account", func(p *corev1.Pod) {
			p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
			p.Spec.ServiceAccountName = "default"
		}, "a mirror pod may not reference service accounts"},
		{"a mirror pod with a secret in an ephemeral container", func(p *corev1.Pod) {
			p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{EnvFrom: secretEnv}}}
		}, "a mirror pod may not reference secrets"},
		{"an account that limits its secrets", func(p *corev1.Pod) {
			p.Spec.ServiceAccountName = "strict"
			p.Spec.InitContainers[0].EnvFrom = secretEnv
		}, `init container init with envFrom referencing secret.secretName="s" is not allowed because service account strict does not reference that secret`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := cluster()
			w["serviceaccounts/default/strict"] = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
				Name: "strict", Annotations: map[string]string{"kubernetes.io/enforce-mountable-secrets": "true"},
			}}
			if err := create(t, w, core.Pod, newPod(c.pod)); err == nil || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}

func TestEphemeralContainersUseWhatTheAccountLists(t *testing.T) {
	for secret, want := range map[string]string{
		"s":     `ephemeral container d with envFrom referencing secret.secretName="s" is not allowed because service account strict does not reference that secret`,
		"known": "",
	} {
		w := cluster()
		w["serviceaccounts/default/strict"] = &corev1.ServiceAccount{
			ObjectMeta: metav1.ObjectMeta{Name: "strict", Annotations: map[string]string{"kubernetes.io/enforce-mountable-secrets": "true"}},
			Secrets:    []corev1.ObjectReference{{Name: "known"}},
		}
		p := newPod(func(p *corev1.Pod) {
			p.Spec.ServiceAccountName = "strict"
			p.Spec.InitContainers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "other"}}}}
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
				Name: "d", EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}},
			}}}
		})
		err := run(w, &admit.Request{Operation: admit.Update, Kind: core.Pod, Subresource: "ephemeralcontainers", Namespace: "default", Name: "p", Object: p, Old: newPod(nil)})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("secret %s: error %q\nwant %q", secret, got, want)
		}
		if len(p.Spec.Volumes) > 0 {
			t.Errorf("secret %s: the pod was given volumes: %+v", secret, p.Spec.Volumes)
		}
	}
}

func TestTerminatingNamespaceNamesItsCause(t *testing.T) {
	err := create(t, cluster(), core.Pod, newPod(func(p *corev1.Pod) { p.Namespace = "going" }))
	var d *admit.Denied
	if !errors.As(err, &d) || len(d.Causes) != 1 || d.Causes[0].Type != "NamespaceTerminating" || d.Causes[0].Message != "namespace going is being terminated" {
		t.Errorf("error %#v", err)
	}
}

func TestDefaultAccountIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := cluster()
		delete(w, "serviceaccounts/default/default")
		began := time.Now()
		if err := create(t, w, core.Pod, newPod(nil)); err == nil || time.Since(began) != 900*time.Millisecond {
			t.Errorf("error %v after %s", err, time.Since(began))
		}
	})
}

func TestPodIsGivenPriorityAndTolerations(t *testing.T) {
	p := newPod(func(p *corev1.Pod) {
		p.Spec.PriorityClassName = "system-node-critical"
		p.Spec.Tolerations = []corev1.Toleration{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoExecute}}
	})
	if err := create(t, cluster(), core.Pod, p); err != nil {
		t.Fatal(err)
	}
	if *p.Spec.Priority != 2000001000 || *p.Spec.PreemptionPolicy != corev1.PreemptLowerPriority {
		t.Errorf("priority %d, %s", *p.Spec.Priority, *p.Spec.PreemptionPolicy)
	}
	seconds := int64(300)
	want := []corev1.Toleration{
		{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoExecute},
		{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
	}
	if diff := cmp.Diff(want, p.Spec.Tolerations); diff != "" {
		t.Error(diff)
	}
}

func TestNewNodeIsTainted(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	for range 2 {
		if err := create(t, cluster(), core.Node, node); err != nil {
			t.Fatal(err)
		}
	}
	want := []corev1.Taint{{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoSchedule}}
	if diff := cmp.Diff(want, node.Spec.Taints); diff != "" {
		t.Error(diff)
	}
}

func TestKeysOfRules(t *testing.T) {
	key, err := admit.NewKey("ResourceQuota", "default", "pods")
	if err != nil || key.String() != "/gantry/admission/ResourceQuota/default/pods" {
		t.Errorf("%s, %v", key, err)
	}
	for _, segments := range [][]string{nil, {""}, {".."}, {"a/b"}, {"default", "."}, {"%2e"}} {
		if key, err := admit.NewKey("ResourceQuota", segments...); err == nil {
			t.Errorf("%q made the key %s", segments, key)
		}
	}
}

func TestOneDefaultPriorityClass(t *testing.T) {
	kind := scheduling.PriorityClass
	class := func(name string, value int32) *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, GlobalDefault: true}
	}
	o := cluster()
	if err := create(t, o, kind, class("first", 7)); err != nil {
		t.Errorf("the first default: %v", err)
	}
	o["priorityclasses//first"] = class("first", 7)
	if err := create(t, o, kind, class("second", 1)); err == nil || err.Error() != "PriorityClass first is already marked as default. Only one default can exist" {
		t.Errorf("a second default: %v", err)
	}
	if err := run(o, &admit.Request{Operation: admit.Update, Kind: kind, Name: "first", Object: class("first", 7), Old: class("first", 7)}); err != nil {
		t.Errorf("an update of the default: %v", err)
	}
	if err := create(t, o, kind, class("first", 7)); err == nil {
		t.Error("the default is created again")
	}
	for name, want := range map[string]string{"first": "<nil>", "system-node-critical": "this is a system priority class and cannot be deleted"} {
		if err := run(o, &admit.Request{Operation: admit.Delete, Kind: kind, Name: name}); fmt.Sprint(err) != want {
			t.Errorf("deleting %s: %v, want %s", name, err, want)
		}
	}
	p := newPod(nil)
	if err := create(t, o, core.Pod, p); err != nil || *p.Spec.Priority != 7 || p.Spec.PriorityClassName != "first" {
		t.Errorf("a pod gets %d of %q, %v", *p.Spec.Priority, p.Spec.PriorityClassName, err)
	}
}

func TestOptionsOfRequests(t *testing.T) {
	seconds := int64(3)
	for _, c := range []struct {
		q    admit.Request
		want runtime.Object
	}{
		{admit.Request{Operation: admit.Create, DryRun: true, FieldManager: "me"}, &metav1.CreateOptions{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "CreateOptions"}, DryRun: []string{"All"}, FieldManager: "me"}},
		{admit.Request{Operation: admit.Update, FieldValidation: "Strict"}, &metav1.UpdateOptions{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "UpdateOptions"}, FieldValidation: "Strict"}},
		{admit.Request{Operation: admit.Delete, Deletion: &metav1.DeleteOptions{GracePeriodSeconds: &seconds}}, &metav1.DeleteOptions{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "DeleteOptions"}, GracePeriodSeconds: &seconds}},
		{admit.Request{Operation: admit.Connect}, nil},
	} {
		if d := cmp.Diff(c.want, c.q.Options()); d != "" {
			t.Errorf("%s: -want +got\n%s", c.q.Operation, d)
		}
	}
}

// TestRulesThatConcernNoWrite checks that no built-in rule is called for a write of a pod's status.
func TestRulesThatConcernNoWrite(t *testing.T) {
	rules := admit.BuiltIn()
	for _, c := range []struct {
		op          admit.Operation
		kind        *schema.Kind
		subresource string
		want        bool
	}{
		{admit.Create, core.Pod, "", true},
		{admit.Create, core.Pod, "eviction", true},
		{admit.Update, core.Pod, "", true},
		{admit.Update, core.Pod, "status", false},
		{admit.Update, core.Node, "", false},
		{admit.Delete, core.Pod, "", false},
		{admit.Delete, core.Namespace, "", true},
		{admit.Connect, core.Pod, "exec", false},
	} {
		if got := rules.Want(c.op, c.kind, c.subresource, "default", func(string, string, string) bool { return false }); got != c.want {
			t.Errorf("%s %s/%s: %t, want %t", c.op, c.kind.Plural, c.subresource, got, c.want)
		}
	}
}
