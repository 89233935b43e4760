package schema

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// texts are put wherever metadata has one.
var texts = []string{
	"", "a", "A", "0", "-", ".", "_", "/", "a/b", "/a", "a/", "a/b/c", "example.com/name", "Example.com/name", "a..b/c", ".a/b", "a./b", "a-.b/c",
	"-a/b", "a-/b", "a_b/c", "a/b.c", "a/b_C-d", "a/-b", "a/b-", "v1", "apps/v1", "apps/V1", "a b", "a\n", "a\x00", "é", "a/é", "é/a", "Event",
	strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a.", 126) + "a/b", strings.Repeat("a.", 127) + "a/b",
	strings.Repeat("a", 64) + ".b/c", strings.Repeat("a", apivalidation.TotalAnnotationSizeLimitB),
}

// FuzzPlainMeta: what is plain has no errors in Kubernetes' validation.
func FuzzPlainMeta(f *testing.F) {
	for place := range 9 {
		for _, text := range texts {
			f.Add(place, text)
		}
	}
	pods, _, _ := testKinds()
	f.Fuzz(func(t *testing.T, place int, text string) {
		yes := true
		old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: "web", Namespace: "default", UID: "1", ResourceVersion: "5", Generation: 2, CreationTimestamp: metav1.Unix(1e9, 0),
			Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"a.b/c": "anything at all"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "2", Controller: &yes}},
		}}
		if !plainCreate(pods, old) || !plainUpdate(old, old) {
			t.Error("the usual is not plain")
		}
		pod := old.DeepCopy()
		owner := &pod.OwnerReferences[0]
		switch place {
		case 0:
			pod.Name = text
		case 1:
			pod.Namespace = text
		case 2:
			pod.Labels[text] = "x"
		case 3:
			pod.Labels["x"] = text
		case 4:
			pod.Annotations[text] = "x"
		case 5:
			pod.Annotations["x"] = text
		case 6:
			owner.APIVersion = text
		case 7:
			owner.APIVersion, owner.Kind = "v1", text
		case 8:
			owner.Name, owner.UID, pod.UID = text, types.UID(text), types.UID(text)
		}
		path := field.NewPath("metadata")
		if plainCreate(pods, pod) {
			if errs := apivalidation.ValidateObjectMetaAccessor(pod, true, nameRule(pods), path); len(errs) > 0 {
				t.Errorf("a creation is plain, and Kubernetes finds %v", errs)
			}
		}
		if plainUpdate(pod, old) {
			if errs := apivalidation.ValidateObjectMetaAccessorUpdate(pod, old, path); len(errs) > 0 {
				t.Errorf("an update is plain, and Kubernetes finds %v", errs)
			}
		}
	})
}

func TestUnusualMetaIsNotPlain(t *testing.T) {
	pods, nodes, _ := testKinds()
	plain := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "1", ResourceVersion: "5", Generation: 2}}
	now, grace := metav1.Now(), int64(1)
	for name, change := range map[string]func(p *corev1.Pod){
		"a fall of the generation":  func(p *corev1.Pod) { p.Generation = 1 },
		"no resourceVersion":        func(p *corev1.Pod) { p.ResourceVersion = "" },
		"another creation time":     func(p *corev1.Pod) { p.CreationTimestamp = now },
		"a deletion time":           func(p *corev1.Pod) { p.DeletionTimestamp = &now },
		"a grace period":            func(p *corev1.Pod) { p.DeletionGracePeriodSeconds = &grace },
		"managed fields":            func(p *corev1.Pod) { p.ManagedFields = make([]metav1.ManagedFieldsEntry, 1) },
		"two owners":                func(p *corev1.Pod) { p.OwnerReferences = make([]metav1.OwnerReference, 2) },
		"an owner without anything": func(p *corev1.Pod) { p.OwnerReferences = make([]metav1.OwnerReference, 1) },
	} {
		p := plain.DeepCopy()
		change(p)
		if plainUpdate(p, plain) {
			t.Errorf("%s is plain", name)
		}
	}
	p := plain.DeepCopy()
	if !plainUpdate(p, plain) || !plainCreate(pods, p) || plainCreate(nodes, p) {
		t.Error("the usual is not plain, or a node with a namespace is")
	}
	if p.Generation = -1; plainCreate(pods, p) {
		t.Error("a generation below zero is plain")
	}
}
