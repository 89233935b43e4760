package admit_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/resource"
)

func TestAdminAccess(t *testing.T) {
	yes, w := true, cluster()
	w["namespaces//admin"] = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"resource.kubernetes.io/admin-access": "true"}}}
	spec := resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{}, {Exactly: &resourcev1.ExactDeviceRequest{AdminAccess: &yes}}}}}
	claim := &resourcev1.ResourceClaim{Spec: spec}
	granted := &resourcev1.ResourceClaim{Status: resourcev1.ResourceClaimStatus{Allocation: &resourcev1.AllocationResult{
		Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{AdminAccess: &yes}}}}}}
	const needs = ": Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"
	status := func(old schema.Object) admit.Request {
		return admit.Request{Operation: admit.Update, Kind: resource.ResourceClaim, Subresource: "status", Object: granted, Old: old}
	}
	for _, tt := range []struct {
		name, namespace string
		q               admit.Request
		want            string
	}{
		{"claim", "default", admit.Request{Operation: admit.Create, Kind: resource.ResourceClaim, Object: claim}, "spec.devices.requests[1].adminAccess" + needs},
		{"claim in its namespace", "admin", admit.Request{Operation: admit.Create, Kind: resource.ResourceClaim, Object: claim}, "<nil>"},
		{"template", "default", admit.Request{Operation: admit.Create, Kind: resource.ResourceClaimTemplate,
			Object: &resourcev1.ResourceClaimTemplate{Spec: resourcev1.ResourceClaimTemplateSpec{Spec: spec}}}, "spec.devices.requests[1].adminAccess" + needs},
		{"allocation", "default", status(claim), "status.allocation.devices.results[0].adminAccess" + needs},
		{"allocation that was there", "default", status(granted), "<nil>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.q.Namespace = tt.namespace
			if err := run(w, &tt.q); fmt.Sprint(err) != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}
