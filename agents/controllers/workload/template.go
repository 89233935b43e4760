package workload

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/controllers/controller"
)

// equalTemplates compares pod templates without the label that a deployment adds.
func equalTemplates(a, b *corev1.PodTemplateSpec) bool {
	return equality.Semantic.DeepEqual(withoutHash(a), withoutHash(b))
}

func withoutHash(t *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	c := *t
	c.Labels = maps.Clone(t.Labels)
	delete(c.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return &c
}

// templateHash is the value of the label pod-template-hash: ten characters that derive from the template's JSON and from
// how many names collided. It only names: whether a replica set has the template is decided by comparing.
func templateHash(t *corev1.PodTemplateSpec, collisions *int32) string {
	h := sha256.New()
	// Encoding these types cannot fail.
	_ = json.NewEncoder(h).Encode(withoutHash(t))
	if collisions != nil {
		_ = binary.Write(h, binary.BigEndian, *collisions)
	}
	return controller.SafeEncode(binary.BigEndian.Uint64(h.Sum(nil)), 10)
}
