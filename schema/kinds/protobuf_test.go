package kinds

import (
	"bytes"
	"errors"
	"math/rand"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/schema"
	"gantry/schema/kinds/kindstest"
)

// TestProtobufAmounts checks that a quantity that would take years to decode is detected in every field of a body in protobuf, and that
// nothing else is detected.
func TestProtobufAmounts(t *testing.T) {
	const harmless, harmful = "1e11111111", "1e-9999999" // of one length: the text is exchanged in the bytes
	amount := corev1.ResourceList{"cpu": resource.MustParse("12345678m"), "memory": resource.MustParse("1Gi")}
	size := resource.MustParse("12345678Gi")
	pod := &corev1.Pod{}
	pod.Name, pod.Annotations = harmless, map[string]string{harmless: harmless, "x": "1" + harmless}
	pod.Spec.Containers = []corev1.Container{{Name: harmless}, {Resources: corev1.ResourceRequirements{Limits: amount}}}
	pod.Spec.Volumes = []corev1.Volume{{}, {VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}}}
	node := &corev1.Node{Status: corev1.NodeStatus{Capacity: amount}}
	for _, tt := range []struct {
		k         *schema.Kind
		obj       interface{ Marshal() ([]byte, error) }
		was, path string
	}{
		{BuiltIn().Resource("", "pods"), pod, "", ""},
		{BuiltIn().Resource("", "pods"), pod, "12345678m", "spec.containers[1].resources.limits[cpu]"},
		{BuiltIn().Resource("", "pods"), pod, "12345678Gi", "spec.volumes[1].emptyDir.sizeLimit"},
		{BuiltIn().Resource("", "nodes"), node, "12345678m", "status.capacity[cpu]"},
	} {
		data, err := tt.obj.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if tt.was != "" {
			data = bytes.Replace(data, []byte(tt.was), []byte((harmful + "9")[:len(tt.was)]), 1)
		}
		err = schema.CheckProtobuf(tt.k.New(), data)
		var e *schema.ValueError
		switch {
		case tt.path == "" && err != nil:
			t.Errorf("%s: %v", tt.k.Kind, err)
		case tt.path != "" && (!errors.As(err, &e) || len(e.Errs) != 1 || e.Errs[0].Field != tt.path):
			t.Errorf("%s: %v, want %s named", tt.k.Kind, err, tt.path)
		}
	}
}

// TestProtobufOfAnyObject checks that no such quantity is detected in random objects, and that bytes that are no message cause no panic.
func TestProtobufOfAnyObject(t *testing.T) {
	for _, k := range BuiltIn().All {
		random := rand.New(rand.NewSource(3))
		for range 20 {
			obj := k.New()
			kindstest.Filler(random).NilChance(.5).NumElements(0, 2).Fill(obj)
			spoiler{random, 1 << 30}.spoil(reflect.ValueOf(obj).Elem())
			data, err := obj.(interface{ Marshal() ([]byte, error) }).Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.CheckProtobuf(obj, data); err != nil {
				t.Errorf("%s: %v", k.Kind, err)
			}
			for range 50 {
				broken := append([]byte(nil), data[:random.Intn(len(data)+1)]...)
				if len(broken) > 0 {
					broken[random.Intn(len(broken))] = byte(random.Intn(256))
				}
				_ = schema.CheckProtobuf(obj, broken)
			}
		}
	}
}
