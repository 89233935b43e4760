package admit_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/networking"
	"gantry/schema/storage"
)

// made is the metadata of a class that was made at a second, with an annotation.
func made(name string, second int64, annotation, value string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Unix(second, 0), Annotations: map[string]string{annotation: value}}
}

func newClaim(size string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
		Spec:       corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse(size)}}},
	}
}

func TestClaimIsGivenItsStorageClass(t *testing.T) {
	const mark = "storageclass.kubernetes.io/is-default-class"
	w := cluster()
	claim := newClaim("1Gi")
	if err := create(t, w, core.PersistentVolumeClaim, claim); err != nil || claim.Spec.StorageClassName != nil {
		t.Errorf("without classes: %v, %v", claim.Spec.StorageClassName, err)
	}
	w["storageclasses//a"] = &storagev1.StorageClass{ObjectMeta: made("a", 1, mark, "true")}
	w["storageclasses//b"] = &storagev1.StorageClass{ObjectMeta: made("b", 2, "storageclass.beta.kubernetes.io/is-default-class", "true")}
	w["storageclasses//c"] = &storagev1.StorageClass{ObjectMeta: made("c", 2, mark, "true")}
	w["storageclasses//d"] = &storagev1.StorageClass{ObjectMeta: made("d", 3, mark, "false")}
	if err := create(t, w, core.PersistentVolumeClaim, claim); err != nil || claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName != "b" {
		t.Errorf("with classes: %v, %v, want b", claim.Spec.StorageClassName, err)
	}
	none, annotated := "", newClaim("1Gi")
	named := newClaim("1Gi")
	named.Spec.StorageClassName = &none
	annotated.Annotations = map[string]string{corev1.BetaStorageClassAnnotation: "x"}
	for _, c := range []*corev1.PersistentVolumeClaim{named, annotated} {
		if err := create(t, w, core.PersistentVolumeClaim, c); err != nil || c.Spec.StorageClassName != nil && *c.Spec.StorageClassName != "" {
			t.Errorf("a claim with a class of its own: %+v, %v", c.Spec, err)
		}
	}
}

func TestStorageIsProtected(t *testing.T) {
	w := cluster()
	pvc, pv, class := newClaim("1Gi"), &corev1.PersistentVolume{}, &storagev1.VolumeAttributesClass{}
	pvc.Finalizers = []string{"example.com/x", "kubernetes.io/pvc-protection"}
	for _, tt := range []struct {
		kind *schema.Kind
		obj  schema.Object
		want string
	}{
		{core.PersistentVolumeClaim, pvc, "example.com/x kubernetes.io/pvc-protection"},
		{core.PersistentVolume, pv, "kubernetes.io/pv-protection"},
		{storage.VolumeAttributesClass, class, "kubernetes.io/vac-protection"},
		{storage.StorageClass, &storagev1.StorageClass{}, ""},
	} {
		if err := create(t, w, tt.kind, tt.obj); err != nil || strings.Join(tt.obj.GetFinalizers(), " ") != tt.want {
			t.Errorf("%s: %v, %v, want %q", tt.kind.Kind, tt.obj.GetFinalizers(), err, tt.want)
		}
	}
}

func TestIngressIsGivenItsClass(t *testing.T) {
	w := cluster()
	w["ingressclasses//a"] = &networkingv1.IngressClass{ObjectMeta: made("a", time.Now().Unix(), networkingv1.AnnotationIsDefaultIngressClass, "true")}
	in := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	old := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Annotations: map[string]string{"kubernetes.io/ingress.class": "x"}}}
	for _, obj := range []*networkingv1.Ingress{in, old} {
		if err := create(t, w, networking.Ingress, obj); err != nil {
			t.Fatal(err)
		}
	}
	if in.Spec.IngressClassName == nil || *in.Spec.IngressClassName != "a" || old.Spec.IngressClassName != nil {
		t.Errorf("classes %v and %v", in.Spec.IngressClassName, old.Spec.IngressClassName)
	}
}

func TestClaimsThatGrow(t *testing.T) {
	yes, fast, slow := true, "fast", "slow"
	w := cluster()
	w["storageclasses//fast"] = &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, AllowVolumeExpansion: &yes}
	w["storageclasses//slow"] = &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "slow"}}
	const only = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
	for _, c := range []struct {
		name  string
		size  string
		phase corev1.PersistentVolumeClaimPhase
		class *string
		want  string
	}{
		{"the same size", "1Gi", corev1.ClaimPending, nil, ""},
		{"not bound", "2Gi", corev1.ClaimPending, &fast, "Only bound persistent volume claims can be expanded"},
		{"bound", "2Gi", corev1.ClaimBound, &fast, ""},
		{"a class that says nothing", "2Gi", corev1.ClaimBound, &slow, only},
		{"no class", "2Gi", corev1.ClaimBound, nil, only},
	} {
		old, claim := newClaim("1Gi"), newClaim(c.size)
		old.Status.Phase, old.Spec.StorageClassName, claim.Spec.StorageClassName = c.phase, c.class, c.class
		err := run(w, &admit.Request{Operation: admit.Update, Kind: core.PersistentVolumeClaim, Namespace: "default", Name: "data", Object: claim, Old: old})
		if got := ""; err != nil {
			if got = err.Error(); got != c.want {
				t.Errorf("%s: %s, want %q", c.name, got, c.want)
			}
		} else if c.want != "" {
			t.Errorf("%s: no error, want %q", c.name, c.want)
		}
	}
}
