package admit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"gantry/schema/core"
)

// checkResize refuses that a claim grows which is not bound, or whose class does not let its volumes grow.
func checkResize(ctx context.Context, read Reader, q *Request) error {
	pvc, old := q.Object.(*corev1.PersistentVolumeClaim), q.Old.(*corev1.PersistentVolumeClaim)
	is, was := pvc.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if is.Cmp(was) <= 0 {
		return nil
	}
	if old.Status.Phase != corev1.ClaimBound {
		return denied("Only bound persistent volume claims can be expanded")
	}
	name := core.StorageClassOf(pvc)
	if name != "" && name == core.StorageClassOf(old) {
		found, err := read.Find(ctx, storagev1.GroupName, "storageclasses", "", name)
		if err != nil {
			return fmt.Errorf("looking up storage class %s: %w", name, err)
		}
		if c, ok := found.Object.(*storagev1.StorageClass); ok && c.AllowVolumeExpansion != nil && *c.AllowVolumeExpansion {
			return nil
		}
	}
	return denied("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize")
}
