package quota

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"gantry/schema"
)

// Counter is the usage below one quota, as a key of etcd has it.
type Counter struct {
	UID types.UID `json:"uid"` // of the quota
	// Hard is the limit of each resource that is counted.
	Hard corev1.ResourceList `json:"hard,omitempty"`
	// Used is what is used of each resource that is limited.
	Used corev1.ResourceList `json:"used,omitempty"`
	// Counting is what was added since a resource is counted, of those that are not limited yet; may be negative.
	Counting corev1.ResourceList `json:"counting,omitempty"`
}

// Decode reads a counter; nil where the value is none of the quota with the UID.
func Decode(value []byte, uid types.UID) *Counter {
	var c Counter
	if len(value) == 0 || json.Unmarshal(value, &c) != nil || c.UID != uid {
		return nil
	}
	return &c
}

// Encode is the counter's value.
func (c *Counter) Encode() ([]byte, error) { return json.Marshal(c) }

// Add adds what a write changes: to Used, which is not negative, and to Counting. Resources in neither are left out. changed tells
// whether any was there.
func (c *Counter) Add(delta corev1.ResourceList) (changed bool) {
	for name, q := range delta {
		switch {
		case q.IsZero():
		case has(c.Used, name):
			c.Used[name], changed = notNegative(sum(c.Used[name], q)), true
		case has(c.Counting, name):
			c.Counting[name], changed = sum(c.Counting[name], q), true
		}
	}
	return changed
}

// Names are the resources of the counter that objects of k can use, sorted.
func (c *Counter) Names(k *schema.Kind) []corev1.ResourceName {
	names := append(Names(k, c.Used), Names(k, c.Counting)...)
	slices.Sort(names)
	return names
}

// Exceeded are the resources of which delta takes more than is left, sorted.
func (c *Counter) Exceeded(delta corev1.ResourceList) (names []corev1.ResourceName) {
	for name, q := range delta {
		limit, limited := c.Hard[name]
		if !limited || !has(c.Used, name) || q.Sign() <= 0 {
			continue
		}
		if total := sum(c.Used[name], q); total.Cmp(limit) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func has(list corev1.ResourceList, name corev1.ResourceName) bool {
	_, there := list[name]
	return there
}

func sum(a, b resource.Quantity) resource.Quantity {
	a = a.DeepCopy()
	a.Add(b)
	return a
}

func notNegative(q resource.Quantity) resource.Quantity {
	if q.Sign() < 0 {
		return resource.Quantity{Format: q.Format}
	}
	return q
}

// Delta is what replacing an object's usage by another changes of the resources named.
func Delta(old, current corev1.ResourceList, names []corev1.ResourceName) corev1.ResourceList {
	delta := corev1.ResourceList{}
	for _, name := range names {
		q := current[name].DeepCopy()
		q.Sub(old[name])
		if !q.IsZero() {
			delta[name] = q
		}
	}
	return delta
}

// Equal tells whether two lists have the same resources and amounts.
func Equal(a, b corev1.ResourceList) bool {
	if len(a) != len(b) {
		return false
	}
	for name, q := range a {
		if other, there := b[name]; !there || q.Cmp(other) != 0 {
			return false
		}
	}
	return true
}

// Text is the amounts of the resources named: "cpu=1,pods=3".
func Text(list corev1.ResourceList, names []corev1.ResourceName) string {
	var b []byte
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		q := list[name]
		b = fmt.Appendf(b, "%s=%s", name, q.String())
	}
	return string(b)
}
