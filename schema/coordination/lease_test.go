package coordination

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
)

func TestLease(t *testing.T) {
	seconds, transitions, strategy := int32(0), int32(-1), coordinationv1.OldestEmulationVersion
	l := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: &seconds, LeaseTransitions: &transitions, Strategy: &strategy}}
	Lease.PrepareCreate(l)
	if l.Spec.Strategy != nil {
		t.Error("strategy stayed")
	}
	var got []string
	for _, e := range Lease.Validate(l) {
		got = append(got, e.Error())
	}
	want := []string{
		"spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
		"spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
