package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/schema/internal/wire"
)

// sameSpec tells whether a means the same as b. Most updates leave the spec alone: then its JSON is the same, which takes
// a fraction of the time that comparing by reflection does. What differs there may still mean the same, as "1Ki" does "1024".
func sameSpec(a, b *corev1.PodSpec) bool {
	return wire.Same(a, b) || equality.Semantic.DeepEqual(*a, *b)
}
