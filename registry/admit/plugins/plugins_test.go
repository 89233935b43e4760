package plugins_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/registry"
	"gantry/registry/admit"
	"gantry/registry/admit/plugins"
	"gantry/registry/admit/webhooks"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// TestDefaults has Kubernetes' defaults of 1.36, as far as they have an effect.
func TestDefaults(t *testing.T) {
	want := []string{
		"NamespaceLifecycle", "LimitRanger", "ServiceAccount", "TaintNodesByCondition", "PodSecurity", "Priority", "DefaultTolerationSeconds",
		"DefaultStorageClass", "StorageObjectInUseProtection", "PersistentVolumeClaimResize", "RuntimeClass", "CertificateApproval",
		"CertificateSigning", "CertificateSubjectRestriction", "DefaultIngressClass", "PodTopologyLabels", "PodResizeValidator",
		"ResourceClaimAdminAccess", "PodEviction", "MutatingAdmissionPolicy", "MutatingAdmissionWebhook", "ValidatingAdmissionPolicy",
		"ValidatingAdmissionWebhook", "ResourceQuota",
	}
	if diff := cmp.Diff(want, names(plugins.Default(caller{}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	o := plugins.Options{Enable: []string{"AlwaysPullImages", "DenyServiceExternalIPs"}, Disable: []string{"ServiceAccount", "ResourceQuota"}}
	rules, err := o.Rules()
	if err != nil {
		t.Fatal(err)
	}
	got := names(rules)
	if !slices.Contains(got, "AlwaysPullImages") || !slices.Contains(got, "DenyServiceExternalIPs") || slices.Contains(got, "ServiceAccount") || slices.Contains(got, "ResourceQuota") {
		t.Errorf("rules %v", got)
	}
}

func names(rules admit.Rules) (out []string) {
	for _, r := range rules {
		out = append(out, r.Name)
	}
	return out
}

type caller struct{ webhooks.Caller }

func TestValidate(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "admission.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n"
	for _, tt := range []struct {
		name string
		plugins.Options
		want string // "": valid
	}{
		{"the defaults", plugins.Options{}, ""},
		{"an unknown name", plugins.Options{Enable: []string{"PodPreset"}}, `--enable-admission-plugins: "PodPreset" is none of AlwaysAdmit, AlwaysDeny, AlwaysPullImages, CertificateApproval`},
		{"an unknown name that is off", plugins.Options{Disable: []string{"podsecurity"}}, `--disable-admission-plugins: "podsecurity" is none of`},
		{"on and off", plugins.Options{Enable: []string{"PodSecurity"}, Disable: []string{"PodSecurity"}}, `"PodSecurity" is disabled by --disable-admission-plugins too`},
		{"limits are missing", plugins.Options{Enable: []string{"EventRateLimit"}}, `--admission-control-config-file: the configuration of EventRateLimit: it is missing`},
		{"no file", plugins.Options{File: "/nowhere/x"}, "--admission-control-config-file: open /nowhere/x"},
		{"another kind", plugins.Options{File: file("apiVersion: v1\nkind: Pod\n")}, `no kind "Pod" is registered for version "v1"`},
		{"an unknown field", plugins.Options{File: file(head + "- name: PodSecurity\n  config: {}\n")}, `unknown field "plugins[0].config"`},
		{"an unknown plug-in", plugins.Options{File: file(head + "- name: PodPreset\n")}, `plugins[0].name: "PodPreset" is no plug-in`},
		{"limits", plugins.Options{Enable: []string{"EventRateLimit"}, File: file(head + limits("{type: Server, qps: 5, burst: 10}"))}, ""},
		{"a wrong limit", plugins.Options{Enable: []string{"EventRateLimit"}, File: file(head + limits("{type: Pod, qps: 0, burst: 1}"))}, `limits[0].type: Unsupported value: "Pod"`},
		{"a wrong level", plugins.Options{File: file(head + security("enforce: strict"))}, `defaults.enforce: Invalid value: "strict"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// limits is the configuration of EventRateLimit in an AdmissionConfiguration.
func limits(list string) string {
	return "- name: EventRateLimit\n  configuration:\n    apiVersion: eventratelimit.admission.k8s.io/v1alpha1\n    kind: Configuration\n    limits: [" + list + "]\n"
}

// security is that of PodSecurity.
func security(defaults string) string {
	return "- name: PodSecurity\n  configuration:\n    apiVersion: pod-security.admission.config.k8s.io/v1\n    kind: PodSecurityConfiguration\n    defaults: {" + defaults + "}\n" +
		"    exemptions: {usernames: [root], namespaces: [exempt], runtimeClasses: [safe]}\n"
}

// withPlugins runs a registry with plug-ins, without ServiceAccount, and a file of configurations.
func withPlugins(t *testing.T, configurations string, enable ...string) *registry.Registry {
	t.Helper()
	o := plugins.Options{Enable: enable, Disable: []string{"ServiceAccount", "DefaultTolerationSeconds"}}
	if configurations != "" {
		o.File = filepath.Join(t.TempDir(), "admission.yaml")
		text := "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n" + configurations
		if err := os.WriteFile(o.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var reg *registry.Registry
	o.CreateNamespace = func(ctx context.Context, name string) error {
		_, err := reg.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, registry.WriteOptions{})
		return err
	}
	rules, err := o.Rules()
	if err != nil {
		t.Fatal(err)
	}
	reg = registrytest.WithAdmission(t, store.NewFake(), rules)
	registrytest.Namespace(t, reg, "default")
	return reg
}

func as(t *testing.T, user string) context.Context {
	return registry.WithUser(t.Context(), &authenticationv1.UserInfo{Username: user})
}

func podIn(namespace string, f func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}}
	if f != nil {
		f(p)
	}
	return p
}

func created[T schema.Object](t *testing.T, r *registry.Registry, k *schema.Kind, obj T) T {
	t.Helper()
	it, err := r.Create(t.Context(), k, obj, registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return it.Object().(T)
}

func refusedBy(t *testing.T, r *registry.Registry, ctx context.Context, k *schema.Kind, obj schema.Object, want string) {
	t.Helper()
	_, err := r.Create(ctx, k, obj, registry.WriteOptions{})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestAlwaysPullImages(t *testing.T) {
	r := withPlugins(t, "", "AlwaysPullImages")
	got := created(t, r, core.Pod, podIn("default", func(p *corev1.Pod) {
		p.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
		p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "i:2"}}
	}))
	if got.Spec.Containers[0].ImagePullPolicy != corev1.PullAlways || got.Spec.InitContainers[0].ImagePullPolicy != corev1.PullAlways {
		t.Errorf("spec %+v", got.Spec)
	}
}

func TestDenyServiceExternalIPs(t *testing.T) {
	r := withPlugins(t, "", "DenyServiceExternalIPs")
	service := func(ips ...string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s"}, Spec: corev1.ServiceSpec{ClusterIP: "None", ExternalIPs: ips}}
	}
	refusedBy(t, r, t.Context(), core.Service, service("8.8.8.8"), "Use of external IPs is denied by admission control")
	created(t, r, core.Service, service())
}

func TestExtendedResourceToleration(t *testing.T) {
	r := withPlugins(t, "", "ExtendedResourceToleration")
	got := created(t, r, core.Pod, podIn("default", func(p *corev1.Pod) {
		list := corev1.ResourceList{"example.com/gpu": resource.MustParse("1"), "cpu": resource.MustParse("1")}
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list, Limits: list}
	}))
	want := []corev1.Toleration{{Key: "example.com/gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}
	if diff := cmp.Diff(want, got.Spec.Tolerations); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLimitPodHardAntiAffinityTopology(t *testing.T) {
	r := withPlugins(t, "", "LimitPodHardAntiAffinityTopology")
	apart := func(key string) *corev1.Pod {
		return podIn("default", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
				{TopologyKey: key, LabelSelector: &metav1.LabelSelector{}},
			}}}
		})
	}
	created(t, r, core.Pod, apart("kubernetes.io/hostname"))
	refusedBy(t, r, t.Context(), core.Pod, apart("zone"), "has TopologyKey zone but only key kubernetes.io/hostname is allowed")
}

func TestEventRateLimit(t *testing.T) {
	r := withPlugins(t, limits("{type: User, qps: 1, burst: 3}"), "EventRateLimit")
	event := func() *corev1.Event {
		return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "e"}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "p"}}
	}
	for range 3 {
		if _, err := r.Create(as(t, "jane"), core.Event, event(), registry.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var refused error
	for range 20 { // a token a second may come meanwhile
		_, err := r.Create(as(t, "jane"), core.Event, event(), registry.WriteOptions{})
		refused = errors.Join(refused, err)
	}
	if !errors.Is(refused, registry.TooManyRequests) || !strings.Contains(refused.Error(), "limit reached on type User for key jane") {
		t.Errorf("%v", refused)
	}
	if _, err := r.Create(as(t, "joe"), core.Event, event(), registry.WriteOptions{}); err != nil {
		t.Errorf("another user: %v", err)
	}
	if _, err := r.Create(as(t, "jane"), core.Event, event(), registry.WriteOptions{DryRun: true}); err != nil {
		t.Errorf("a dry run: %v", err)
	}
}

func TestNamespaces(t *testing.T) {
	r := withPlugins(t, "", "NamespaceAutoProvision", "NamespaceExists")
	created(t, r, core.Pod, podIn("fresh", nil))
	if _, err := r.Get(t.Context(), core.Namespace, "", "fresh", ""); err != nil {
		t.Error(err)
	}
}

func TestPodNodeSelector(t *testing.T) {
	r := withPlugins(t, "- name: PodNodeSelector\n  configuration:\n    podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: env=prod, default: 'env=prod,disk=ssd'}\n", "PodNodeSelector")
	selecting := func(namespace, key, value string) *corev1.Pod {
		return podIn(namespace, func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} })
	}
	got := created(t, r, core.Pod, selecting("default", "disk", "ssd"))
	if diff := cmp.Diff(map[string]string{"env": "prod", "disk": "ssd"}, got.Spec.NodeSelector); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	refusedBy(t, r, t.Context(), core.Pod, selecting("default", "env", "test"), "conflicts with its namespace node label selector")
	refusedBy(t, r, t.Context(), core.Pod, selecting("default", "zone", "a"), "conflict with its namespace whitelist")
	created(t, r, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "own", Annotations: map[string]string{"scheduler.alpha.kubernetes.io/node-selector": "env=test"}}})
	if got := created(t, r, core.Pod, podIn("own", nil)); got.Spec.NodeSelector["env"] != "test" {
		t.Errorf("selector %v", got.Spec.NodeSelector)
	}
}

func TestPodTolerationRestriction(t *testing.T) {
	r := withPlugins(t, "- name: PodTolerationRestriction\n  configuration:\n    apiVersion: podtolerationrestriction.admission.k8s.io/v1alpha1\n    kind: Configuration\n    whitelist: [{key: gpu, operator: Exists}]\n", "PodTolerationRestriction")
	created(t, r, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "own", Annotations: map[string]string{
		"scheduler.alpha.kubernetes.io/defaultTolerations":   `[{"key":"batch","operator":"Exists"}]`,
		"scheduler.alpha.kubernetes.io/tolerationsWhitelist": `[{"key":"batch","operator":"Exists"}]`,
	}}})
	tolerating := func(namespace, key string) *corev1.Pod {
		return podIn(namespace, func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}
		})
	}
	created(t, r, core.Pod, tolerating("default", "gpu"))
	refusedBy(t, r, t.Context(), core.Pod, tolerating("default", "other"), "conflict with its cluster whitelist")
	refusedBy(t, r, t.Context(), core.Pod, tolerating("own", "gpu"), "conflict with its namespace whitelist")
	if got := created(t, r, core.Pod, podIn("own", nil)); len(got.Spec.Tolerations) != 1 || got.Spec.Tolerations[0].Key != "batch" {
		t.Errorf("tolerations %+v", got.Spec.Tolerations)
	}
}

func TestOwnerReferencesPermissionEnforcement(t *testing.T) {
	r := withPlugins(t, "", "OwnerReferencesPermissionEnforcement")
	owned := func(block bool) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "c", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u", BlockOwnerDeletion: ptr.To(block)},
		}}}
	}
	nobody := registry.WithAuthorizer(as(t, "jane"), admit.AgentAuthorizer(&authenticationv1.UserInfo{Username: "other"})) // jane may do nothing
	it, err := r.Create(nobody, core.ConfigMap, owned(false), registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	refusedBy(t, r, nobody, core.ConfigMap, owned(true), "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on")
	created(t, r, core.ConfigMap, owned(true)) // the process itself may
	free := it.Object().DeepCopyObject().(*corev1.ConfigMap)
	free.OwnerReferences = nil
	if _, err := r.Update(nobody, core.ConfigMap, free, registry.WriteOptions{}); err == nil || !strings.Contains(err.Error(), "cannot set an ownerRef on a resource you can't delete") {
		t.Errorf("an update of who may not delete: %v", err)
	}
}

func TestPodSecurityConfiguration(t *testing.T) {
	r := withPlugins(t, security("enforce: baseline"))
	registrytest.Namespace(t, r, "exempt")
	shared := func(namespace string) *corev1.Pod {
		return podIn(namespace, func(p *corev1.Pod) { p.Spec.HostNetwork = true })
	}
	refusedBy(t, r, as(t, "jane"), core.Pod, shared("default"), `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`)
	created(t, r, core.Pod, shared("exempt"))
	if _, err := r.Create(as(t, "root"), core.Pod, shared("default"), registry.WriteOptions{}); err != nil {
		t.Errorf("a user who is exempt: %v", err)
	}
}

func TestPodTopologyLabels(t *testing.T) {
	r := withPlugins(t, "")
	created(t, r, core.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "r", "other": "x"}}})
	p := created(t, r, core.Pod, podIn("default", nil))
	it, err := r.Bind(t.Context(), "default", p.Name, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: "default"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}, registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "r"}
	if diff := cmp.Diff(want, it.Object().GetLabels()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPodResizeValidator(t *testing.T) {
	r := withPlugins(t, "")
	created(t, r, core.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{
		Allocatable: corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("1Gi")},
	}})
	p := created(t, r, core.Pod, podIn("default", func(p *corev1.Pod) {
		p.Spec.NodeName = "n"
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1")}
	}))
	resized := func(cpu string) error {
		_, err := r.Modify(t.Context(), core.Pod, "default", p.Name, func(current schema.Object) (schema.Object, error) {
			current.(*corev1.Pod).Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse(cpu)}
			return current, nil
		}, registry.WriteOptions{Subresource: "resize"})
		return err
	}
	if err := resized("2"); err != nil {
		t.Error(err)
	}
	if err := resized("3"); err == nil || !strings.Contains(err.Error(), "node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: 2000") {
		t.Error(err)
	}
}
