package apply_test

import (
	"slices"
	"testing"

	"gantry/schema/kinds"
)

// TestResets: what a write of status sets back is what Kubernetes' strategies say (GetResetFields): the spec, and of some kinds more.
func TestResets(t *testing.T) {
	more := map[string][]string{
		"Pod": {"metadata.deletionTimestamp", "metadata.ownerReferences"}, "Deployment": {"metadata.labels"}, "ServiceCIDR": {"metadata"},
		"VolumeAttachment": {"metadata"}, "FlowSchema": {"metadata"}, "PriorityLevelConfiguration": {"metadata"}, "ResourceClaim": {"metadata"},
		"ValidatingAdmissionPolicy": {"metadata"}, "DeviceTaintRule": {"metadata"}, "CertificateSigningRequest": {"status.conditions"},
	}
	for _, k := range kinds.BuiltIn().All {
		for _, s := range k.Subresources {
			if want := append([]string{"spec"}, more[k.Kind]...); s.Name == "status" && !slices.Equal(s.Resets, want) {
				t.Errorf("%s status resets %v, upstream's %v", k.Kind, s.Resets, want)
			}
		}
	}
}
