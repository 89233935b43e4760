package core

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestSameSpec(t *testing.T) {
	spec := func(image, cpu string, args []string) *corev1.PodSpec {
		return &corev1.PodSpec{Containers: []corev1.Container{{
			Image: image, Args: args,
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse("1Gi")}},
		}}}
	}
	for _, c := range []struct {
		name string
		a, b *corev1.PodSpec
		want bool
	}{
		{"equal", spec("a", "1", nil), spec("a", "1", nil), true},
		{"nil and empty", spec("a", "1", nil), spec("a", "1", []string{}), true},
		{"one amount in two ways", spec("a", "1", nil), spec("a", "1000m", nil), true},
		{"one amount in two notations", spec("a", "1Ki", nil), spec("a", "1024", nil), true},
		{"another image", spec("a", "1", nil), spec("b", "1", nil), false},
		{"another amount", spec("a", "1", nil), spec("a", "2", nil), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := sameSpec(c.a, c.b); got != c.want {
				t.Errorf("sameSpec is %t, want %t", got, c.want)
			}
		})
	}
}
