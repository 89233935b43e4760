package lifecycle

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/controller"
	"gantry/schema/core"
)

func TestOwnedPlans(t *testing.T) {
	tests := []struct {
		name              string
		found             []ownerState
		finalizer         string
		dependents, cycle bool
		want              []string
	}{
		{"all there", []ownerState{ownerSolid, ownerSolid}, "", false, false, nil},
		{"one of two gone", []ownerState{ownerSolid, ownerDangling}, "", false, false, []string{"update keeping 1"}},
		{"one of two waits", []ownerState{ownerSolid, ownerWaiting}, "", true, false, []string{"update keeping 1"}},
		{"all gone", []ownerState{ownerDangling, ownerDangling}, "", false, false, []string{"delete Background"}},
		{"the owner waits", []ownerState{ownerWaiting}, "", false, false, []string{"delete Background"}},
		{"the owner waits, and it has dependents", []ownerState{ownerWaiting}, "", true, false, []string{"delete Foreground"}},
		{"a cycle", []ownerState{ownerWaiting}, "", true, true, []string{"update keeping 1", "delete Foreground"}},
		{"it wants to orphan", []ownerState{ownerDangling}, metav1.FinalizerOrphanDependents, true, false, []string{"delete Orphan"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "x", UID: "x"}}
			for i := range tt.found {
				obj.OwnerReferences = append(obj.OwnerReferences, metav1.OwnerReference{UID: types.UID(fmt.Sprint("o", i))})
			}
			if tt.finalizer != "" {
				obj.Finalizers = []string{tt.finalizer}
			}
			var got []string
			for _, a := range planOwned(core.ConfigMap, obj, tt.found, tt.dependents, tt.cycle) {
				if a.Do == controller.Delete {
					got = append(got, "delete "+a.DeleteOptions.Propagation)
				} else {
					got = append(got, fmt.Sprint("update keeping ", len(a.Object.GetOwnerReferences())))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
