package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

var specPath = field.NewPath("spec")

// validateCSIDriver checks that
//   - what has a default is there;
//   - the policy for groups and the lifecycle modes are known;
//   - audiences of tokens differ, and tokens live ten minutes at least;
//   - the node's count is asked for every ten seconds at most;
//   - tokens are in secrets only where there are some.
func validateCSIDriver(d *storagev1.CSIDriver) field.ErrorList {
	var f check.Errors
	s := &d.Spec
	checkThere(&f, s.AttachRequired, "attachedRequired") // as Kubernetes spells it
	checkThere(&f, s.PodInfoOnMount, "podInfoOnMount")
	checkThere(&f, s.StorageCapacity, "storageCapacity")
	if s.FSGroupPolicy != nil {
		check.OneOf(&f, specPath.Child("fsGroupPolicy"), *s.FSGroupPolicy, storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
	}
	checkTokens(&f, s.TokenRequests, specPath.Child("tokenRequests"))
	for _, m := range s.VolumeLifecycleModes {
		check.OneOf(&f, specPath.Child("volumeLifecycleModes"), m, storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral)
	}
	checkThere(&f, s.SELinuxMount, "seLinuxMount")
	if n := s.NodeAllocatableUpdatePeriodSeconds; n != nil && *n < 10 {
		f.Invalid(specPath.Child("nodeAllocatableUpdatePeriodSeconds"), *n, "must be greater than or equal to 10 seconds")
	}
	if in := s.ServiceAccountTokenInSecrets; in != nil && len(s.TokenRequests) == 0 {
		f.Invalid(specPath.Child("serviceAccountTokenInSecrets"), in, "serviceAccountTokenInSecrets is set but no tokenRequests are specified")
	}
	return f.List
}

func validateCSIDriverUpdate(d, old *storagev1.CSIDriver) field.ErrorList {
	var f check.Errors
	f.Add(validateCSIDriver(d)...)
	f.Same(specPath.Child("attachedRequired"), d.Spec.AttachRequired, old.Spec.AttachRequired)
	f.Same(specPath.Child("volumeLifecycleModes"), d.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes)
	return f.List
}

func checkThere(f *check.Errors, value *bool, name string) {
	if value == nil {
		f.Required(specPath.Child(name), "")
	}
}

func checkTokens(f *check.Errors, list []storagev1.TokenRequest, p *field.Path) {
	const shortest, longest = 600, 1 << 32 // seconds
	seen := map[string]bool{}
	for i, t := range list {
		if seen[t.Audience] {
			f.Duplicate(p.Index(i).Child("audience"), t.Audience)
			continue
		}
		seen[t.Audience] = true
		at := p.Index(i).Child("expirationSeconds")
		switch n := t.ExpirationSeconds; {
		case n == nil:
		case *n < shortest:
			f.Invalid(at, *n, "may not specify a duration less than 10 minutes")
		case *n > longest:
			f.Invalid(at, *n, "may not specify a duration larger than 2^32 seconds")
		}
	}
}
