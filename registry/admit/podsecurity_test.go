package admit_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

const podSecurity = "pod-security.kubernetes.io/"

// labelled is the world with labels of pod security on the namespace default: "enforce=baseline warn=restricted".
func labelled(labels string) objects {
	w := cluster()
	w["namespaces//default"] = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: podSecurityLabels(labels)}}
	return w
}

func podSecurityLabels(text string) map[string]string {
	labels := map[string]string{}
	for _, one := range strings.Fields(text) {
		name, value, _ := strings.Cut(one, "=")
		labels[podSecurity+name] = value
	}
	return labels
}

const (
	notBaseline = `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`
	// notRestricted is about newPod.
	notRestricted = `PodSecurity "restricted:latest": allowPrivilegeEscalation != false (containers "init", "main" must set securityContext.allowPrivilegeEscalation=false), ` +
		`unrestricted capabilities (containers "init", "main" must set securityContext.capabilities.drop=["ALL"]), ` +
		`runAsNonRoot != true (pod or containers "init", "main" must set securityContext.runAsNonRoot=true), ` +
		`seccompProfile (pod or containers "init", "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")`
)

func hostNetwork(p *corev1.Pod) { p.Spec.HostNetwork = true }

// TestPodSecurity checks what becomes of pods in namespaces with labels, and what is warned of and noted for the audit.
func TestPodSecurity(t *testing.T) {
	for _, tt := range []struct {
		name, labels string
		pod          func(*corev1.Pod)
		want         string
		warnings     []string
		annotations  map[string]string
	}{
		{"no labels", "", hostNetwork, "<nil>", nil, map[string]string{"enforce-policy": "privileged:latest"}},
		{"baseline", "enforce=baseline", nil, "<nil>", nil, map[string]string{"enforce-policy": "baseline:latest"}},
		{"against baseline", "enforce=baseline", hostNetwork, notBaseline, nil, map[string]string{"enforce-policy": "baseline:latest"}},
		{"of an old version", "enforce=baseline enforce-version=v1.20", hostNetwork, strings.Replace(notBaseline, "latest", "v1.20", 1), nil, map[string]string{"enforce-policy": "baseline:v1.20"}},
		{"against restricted", "enforce=restricted", nil, "violates " + notRestricted, nil, map[string]string{"enforce-policy": "restricted:latest"}},
		{"warned and noted", "warn=restricted audit=baseline", hostNetwork, "<nil>",
			[]string{"would violate " + strings.Replace(notRestricted, "allowP", "host namespaces (hostNetwork=true), allowP", 1)},
			map[string]string{"enforce-policy": "privileged:latest", "audit-violations": "would " + strings.Replace(notBaseline, "violates", "violate", 1)}},
		{"labels that are no policy", "enforce=x", hostNetwork,
			"violates " + strings.Replace(notRestricted, "allowP", "host namespaces (hostNetwork=true), allowP", 1), nil,
			map[string]string{"enforce-policy": "restricted:latest", "error": `Failed to parse policy: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "x": must be one of privileged, baseline, restricted`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := newPod(tt.pod)
			q := &admit.Request{Operation: admit.Create, Kind: core.Pod, Namespace: pod.Namespace, Name: pod.Name, Object: pod}
			if err := run(labelled(tt.labels), q); fmt.Sprint(err) != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if diff := cmp.Diff(tt.warnings, q.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			got := map[string]string{}
			for key, value := range q.Annotations {
				got[strings.TrimPrefix(key, podSecurity)] = value
			}
			if diff := cmp.Diff(tt.annotations, got); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPodSecurityOfUpdates checks that a pod that violates the policy may be changed otherwise, and gets no other image and no ephemeral container.
func TestPodSecurityOfUpdates(t *testing.T) {
	w := labelled("enforce=baseline")
	for _, tt := range []struct {
		name, subresource string
		change            func(*corev1.Pod)
		want              string
	}{
		{"a label", "", func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"} }, "<nil>"},
		{"an image", "", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "new" }, notBaseline},
		{"an ephemeral container", "ephemeralcontainers", func(p *corev1.Pod) {
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}}}
		}, notBaseline},
		{"the status", "status", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "new" }, "<nil>"},
	} {
		old := newPod(func(p *corev1.Pod) { p.Spec.HostNetwork, p.Spec.ServiceAccountName = true, "default" })
		pod := old.DeepCopy()
		tt.change(pod)
		q := &admit.Request{Operation: admit.Update, Kind: core.Pod, Subresource: tt.subresource, Namespace: "default", Name: "p", Object: pod, Old: old}
		if err := run(w, q); fmt.Sprint(err) != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

// TestPodSecurityOfTemplates checks that what makes pods is warned about and not refused.
func TestPodSecurityOfTemplates(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "d"}}
	d.Spec.Template.Spec = newPod(hostNetwork).Spec
	q := &admit.Request{Operation: admit.Create, Kind: apps.Deployment, Namespace: "default", Name: "d", Object: d}
	if err := run(labelled("enforce=baseline"), q); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"would " + strings.Replace(notBaseline, "violates", "violate", 1)}, q.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestPodSecurityLabels checks the labels of namespaces, and the warnings about the pods that are there when they change.
func TestPodSecurityLabels(t *testing.T) {
	w := cluster()
	owner := []metav1.OwnerReference{{UID: "rs", Controller: new(bool)}}
	*owner[0].Controller = true
	for i := range 3 {
		p := newPod(hostNetwork)
		p.Name, p.OwnerReferences = fmt.Sprint("web-", i), owner
		w["pods/default/"+p.Name] = p
	}
	w["pods/default/root"] = newPod(func(p *corev1.Pod) {
		yes := true
		p.Name, p.Spec.Containers[0].SecurityContext = "root", &corev1.SecurityContext{Privileged: &yes}
	})
	w["pods/default/good"] = newPod(nil)
	const bad = `metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "x": must be one of privileged, baseline, restricted`
	for _, tt := range []struct {
		name, old, labels string // old "-": it is created
		want              string
		warnings          []string
	}{
		{"created", "-", "enforce=restricted", "<nil>", nil},
		{"created with no level", "-", "enforce=x", bad, nil},
		{"with no version", "", "enforce=baseline enforce-version=1.20", `metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: "1.20": must be "latest" or "v1.x"`, nil},
		{"no level as before", "enforce=x", "enforce=x other=y", "<nil>", nil},
		{"stricter", "", "enforce=baseline", "<nil>", []string{
			`existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"`, "root: privileged", "web-0 (and 2 other pods): host namespaces",
		}},
		{"less strict", "enforce=restricted", "enforce=baseline", "<nil>", nil},
		{"only warned of", "", "warn=baseline", "<nil>", nil},
	} {
		q := &admit.Request{Operation: admit.Update, Kind: core.Namespace, Name: "default"}
		q.Object = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: podSecurityLabels(tt.labels)}}
		if tt.old == "-" {
			q.Operation = admit.Create
		} else {
			q.Old = schema.Object(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: podSecurityLabels(tt.old)}})
		}
		if err := run(w, q); fmt.Sprint(err) != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
		if diff := cmp.Diff(tt.warnings, q.Warnings); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", tt.name, diff)
		}
	}
}
