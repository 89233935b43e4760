package pods

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestMergeTolerations(t *testing.T) {
	five, ten := int64(5), int64(10)
	all := corev1.Toleration{Operator: "Exists"}
	key := corev1.Toleration{Key: "a", Operator: "Exists"}
	value := corev1.Toleration{Key: "a", Operator: "Equal", Value: "x", Effect: "NoSchedule"}
	odd := corev1.Toleration{Key: "a", Operator: "Gt", Value: "1"}
	short := corev1.Toleration{Key: "a", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &five}
	long := corev1.Toleration{Key: "a", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &ten}
	type list = []corev1.Toleration
	for _, tt := range []struct {
		name                string
		first, second, want list
	}{
		{"none", nil, nil, nil},
		{"equal", list{value}, list{value}, list{value}},
		{"every value", list{value}, list{key}, list{key}},
		{"every key", list{key, value, short}, list{all}, list{all}},
		{"a longer time", list{short}, list{long}, list{long}},
		{"no operator that compares", list{odd}, list{value}, list{odd, value}},
		{"another effect", list{value}, list{short}, list{value, short}},
		{"too many", make(list, maxMerged), list{all}, append(make(list, maxMerged), all)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, MergeTolerations(tt.first, tt.second)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
