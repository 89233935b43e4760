// Package resource has the kinds of resource.k8s.io: claims on devices, and what devices there are.
package resource

import (
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// ResourceClaim is the kind of claims on devices.
var ResourceClaim = &schema.Kind{
	Version: schema.Version{
		Group: resourcev1.GroupName, Version: "v1", Kind: "ResourceClaim",
		New:     func() schema.Object { return &resourcev1.ResourceClaim{} },
		NewList: func() runtime.Object { return &resourcev1.ResourceClaimList{} },
		Columns: []metav1.TableColumnDefinition{
			schema.NameColumn(),
			schema.TextColumn("State", "A summary of the current state (allocated, pending, reserved, etc.)."),
			schema.AgeColumn(),
		},
		Row: func(obj schema.Object, now metav1.Time) []any {
			c := obj.(*resourcev1.ResourceClaim)
			return []any{c.Name, claimState(c), schema.Age(c.CreationTimestamp, now)}
		},
		Default: schema.Preparation(defaultClaim),
	},
	Plural: "resourceclaims", Singular: "resourceclaim",
	UpdateMeta: schema.MetaOfCreateFirst,
	Namespaced: true,
	Prefix:     "resourceclaims",

	Subresources:        []schema.Subresource{schema.Status(prepareClaimStatus, validateClaimStatus).Resetting("metadata")},
	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(func(c *resourcev1.ResourceClaim) { c.Status = resourcev1.ResourceClaimStatus{} }),
	PrepareUpdate:  schema.UpdatePreparation(func(c, old *resourcev1.ResourceClaim) { c.Status = old.Status }),
	Validate:       schema.Validation(validateClaim),
	ValidateUpdate: schema.UpdateValidation(validateClaimUpdate),
}

// ResourceClaimTemplate is the kind of what the claims of pods are made of.
var ResourceClaimTemplate = &schema.Kind{
	Version: schema.Version{
		Group: resourcev1.GroupName, Version: "v1", Kind: "ResourceClaimTemplate",
		New:     func() schema.Object { return &resourcev1.ResourceClaimTemplate{} },
		NewList: func() runtime.Object { return &resourcev1.ResourceClaimTemplateList{} },
		Columns: nameAndAge, Row: nameAndAgeRow,
		Default: schema.Preparation(func(t *resourcev1.ResourceClaimTemplate) { defaultRequests(t.Spec.Spec.Devices.Requests) }),
	},
	Plural: "resourceclaimtemplates", Singular: "resourceclaimtemplate",
	UpdateMeta: schema.MetaOfCreateFirst,
	Namespaced: true,
	Prefix:     "resourceclaimtemplates",

	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateTemplate),
	ValidateUpdate: schema.UpdateValidation(validateTemplateUpdate),
}

var nameAndAge = []metav1.TableColumnDefinition{schema.NameColumn(), schema.AgeColumn()}

func nameAndAgeRow(obj schema.Object, now metav1.Time) []any {
	return []any{obj.GetName(), schema.Age(obj.GetCreationTimestamp(), now)}
}

// claimState is "allocated,reserved".
func claimState(c *resourcev1.ResourceClaim) string {
	var states []string
	if c.DeletionTimestamp != nil {
		states = append(states, "deleted")
	}
	switch {
	case c.Status.Allocation != nil:
		states = append(states, "allocated")
		if len(c.Status.ReservedFor) > 0 {
			states = append(states, "reserved")
		}
	case c.DeletionTimestamp == nil:
		states = append(states, "pending")
	}
	return strings.Join(states, ",")
}

func defaultClaim(c *resourcev1.ResourceClaim) {
	defaultRequests(c.Spec.Devices.Requests)
	if a := c.Status.Allocation; a != nil {
		for i := range a.Devices.Results {
			defaultTolerations(a.Devices.Results[i].Tolerations)
		}
	}
}

func defaultTolerations(list []resourcev1.DeviceToleration) {
	for i := range list {
		if list[i].Operator == "" {
			list[i].Operator = resourcev1.DeviceTolerationOpEqual
		}
	}
}

func defaultRequests(requests []resourcev1.DeviceRequest) {
	for i := range requests {
		r := &requests[i]
		if r.Exactly != nil {
			defaultCount(&r.Exactly.AllocationMode, &r.Exactly.Count)
			defaultTolerations(r.Exactly.Tolerations)
		}
		for j := range r.FirstAvailable {
			s := &r.FirstAvailable[j]
			defaultCount(&s.AllocationMode, &s.Count)
			defaultTolerations(s.Tolerations)
		}
	}
}

func defaultCount(mode *resourcev1.DeviceAllocationMode, count *int64) {
	if *mode == "" {
		*mode = resourcev1.DeviceAllocationModeExactCount
	}
	if *mode == resourcev1.DeviceAllocationModeExactCount && *count == 0 {
		*count = 1
	}
}

// prepareClaimStatus removes the states of devices that are not allocated any more.
func prepareClaimStatus(c, old *resourcev1.ResourceClaim) {
	c.Spec = old.Spec
	metav1.ResetObjectMetaForStatus(&c.ObjectMeta, &old.ObjectMeta)
	lost := allocated(old.Status.Allocation)
	for d := range allocated(c.Status.Allocation) {
		delete(lost, d)
	}
	var kept []resourcev1.AllocatedDeviceStatus
	for i := range c.Status.Devices {
		if !lost[deviceOf(&c.Status.Devices[i])] {
			kept = append(kept, c.Status.Devices[i])
		}
	}
	c.Status.Devices = kept
}

// device is a device, or a share of one. Errors show it as JSON.
type device struct{ Driver, Pool, Device, ShareID string }

func deviceOf(s *resourcev1.AllocatedDeviceStatus) device {
	d := device{Driver: s.Driver, Pool: s.Pool, Device: s.Device}
	if s.ShareID != nil {
		d.ShareID = *s.ShareID
	}
	return d
}

// allocated are the devices of an allocation, which may be nil.
func allocated(a *resourcev1.AllocationResult) map[device]bool {
	all := map[device]bool{}
	if a == nil {
		return all
	}
	for _, r := range a.Devices.Results {
		d := device{Driver: r.Driver, Pool: r.Pool, Device: r.Device}
		if r.ShareID != nil {
			d.ShareID = string(*r.ShareID)
		}
		all[d] = true
	}
	return all
}
