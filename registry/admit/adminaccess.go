package admit

import (
	"context"
	"fmt"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

// adminNamespaceLabel is the label of a namespace whose claims may have devices that are in use.
const adminNamespaceLabel = resourcev1.DRAAdminNamespaceLabelKey

// wantsAdminAccess: new claims and templates, and the allocations of claims.
func wantsAdminAccess(o Operation, k *schema.Kind, subresource string) bool {
	if k.Group != resourcev1.GroupName {
		return false
	}
	return o == Create && subresource == "" && (k.Plural == "resourceclaims" || k.Plural == "resourceclaimtemplates") ||
		o == Update && subresource == "status" && k.Plural == "resourceclaims"
}

// checkAdminAccess refuses access to devices that are in use, unless the namespace has its label.
func checkAdminAccess(ctx context.Context, read Reader, q *Request) error {
	at := adminAccess(q)
	if at == nil {
		return nil
	}
	found, err := read.Find(ctx, "", "namespaces", "", q.Namespace)
	if err != nil {
		return fmt.Errorf("looking up namespace %s: %w", q.Namespace, err)
	}
	if found.Object != nil && found.Object.GetLabels()[adminNamespaceLabel] == "true" {
		return nil
	}
	text := fmt.Sprintf("admin access to devices requires the `%s: true` label on the containing namespace", adminNamespaceLabel)
	return &Invalid{Errs: field.ErrorList{field.Forbidden(at, text)}}
}

// adminAccess is where such access is asked for; nil: nowhere, or it was granted before.
func adminAccess(q *Request) *field.Path {
	switch obj := q.Object.(type) {
	case *resourcev1.ResourceClaim:
		if q.Operation == Update {
			if old, ok := q.Old.(*resourcev1.ResourceClaim); ok && grantedAt(old.Status.Allocation) != nil {
				return nil
			}
			return grantedAt(obj.Status.Allocation)
		}
		return requestedAt(obj.Spec.Devices.Requests)
	case *resourcev1.ResourceClaimTemplate:
		return requestedAt(obj.Spec.Spec.Devices.Requests)
	}
	return nil
}

func requestedAt(requests []resourcev1.DeviceRequest) *field.Path {
	for i := range requests {
		if e := requests[i].Exactly; e != nil && e.AdminAccess != nil && *e.AdminAccess {
			return field.NewPath("spec", "devices", "requests").Index(i).Child("adminAccess")
		}
	}
	return nil
}

func grantedAt(a *resourcev1.AllocationResult) *field.Path {
	if a == nil {
		return nil
	}
	for i := range a.Devices.Results {
		if yes := a.Devices.Results[i].AdminAccess; yes != nil && *yes {
			return field.NewPath("status", "allocation", "devices", "results").Index(i).Child("adminAccess")
		}
	}
	return nil
}
