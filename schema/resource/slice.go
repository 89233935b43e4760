package resource

import (
	"fmt"
	"strings"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// ResourceSlice is the kind of what drivers tell of their devices.
var ResourceSlice = &schema.Kind{
	Version: schema.Version{
		Group: resourcev1.GroupName, Version: "v1", Kind: "ResourceSlice",
		New:     func() schema.Object { return &resourcev1.ResourceSlice{} },
		NewList: func() runtime.Object { return &resourcev1.ResourceSliceList{} },
		Columns: []metav1.TableColumnDefinition{
			schema.NameColumn(),
			schema.TextColumn("Node", resourcev1.ResourceSliceSpec{}.SwaggerDoc()["nodeName"]),
			schema.TextColumn("Driver", resourcev1.ResourceSliceSpec{}.SwaggerDoc()["driver"]),
			schema.TextColumn("Pool", resourcev1.ResourcePool{}.SwaggerDoc()["name"]),
			schema.AgeColumn(),
		},
		Row: func(obj schema.Object, now metav1.Time) []any {
			s := obj.(*resourcev1.ResourceSlice)
			return []any{s.Name, nodeOf(s), s.Spec.Driver, s.Spec.Pool.Name, schema.Age(s.CreationTimestamp, now)}
		},
		UnknownField: "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: %s",
		Fields: []schema.Field{
			schema.FieldOf(resourcev1.ResourceSliceSelectorNodeName, nodeOf),
			schema.FieldOf(resourcev1.ResourceSliceSelectorDriver, func(s *resourcev1.ResourceSlice) string { return s.Spec.Driver }),
		},
	},
	Plural: "resourceslices", Singular: "resourceslice",
	Prefix: "resourceslices",

	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate: schema.Preparation(func(s *resourcev1.ResourceSlice) {
		s.Generation = 1
		setTimes(s)
		dropOff(s, &resourcev1.ResourceSlice{})
	}),
	PrepareUpdate: schema.UpdatePreparation(func(s, old *resourcev1.ResourceSlice) {
		setTimes(s)
		if !equality.Semantic.DeepEqual(s.Spec, old.Spec) {
			s.Generation = old.Generation + 1
		}
		dropOff(s, old)
	}),
	Validate:       schema.Validation(validateSlice),
	ValidateUpdate: schema.UpdateValidation(validateSliceUpdate),
	Warnings:       schema.Warnings(sliceWarnings),
}

func nodeOf(s *resourcev1.ResourceSlice) string {
	if s.Spec.NodeName == nil {
		return ""
	}
	return *s.Spec.NodeName
}

// setTimes gives taints the time when they are first written.
func setTimes(s *resourcev1.ResourceSlice) {
	var now *metav1.Time
	for i := range s.Spec.Devices {
		taints := s.Spec.Devices[i].Taints
		for j := range taints {
			if !taints[j].TimeAdded.IsZero() {
				continue
			}
			if now == nil {
				now = &metav1.Time{Time: time.Now().Truncate(time.Second)}
			}
			taints[j].TimeAdded = now.DeepCopy()
		}
	}
}

// dropOff clears the fields of features that Kubernetes 1.36 has off, unless old has them: resources of nodes that devices take, and
// attributes that are lists.
func dropOff(s, old *resourcev1.ResourceSlice) {
	mappings, lists := false, false
	for i := range old.Spec.Devices {
		mappings = mappings || len(old.Spec.Devices[i].NodeAllocatableResourceMappings) > 0
		for _, a := range old.Spec.Devices[i].Attributes {
			lists = lists || isList(&a)
		}
	}
	for i := range s.Spec.Devices {
		d := &s.Spec.Devices[i]
		if !mappings {
			d.NodeAllocatableResourceMappings = nil
		}
		if lists {
			continue
		}
		for name, a := range d.Attributes {
			if isList(&a) {
				a.BoolValues, a.IntValues, a.StringValues, a.VersionValues = nil, nil, nil, nil
				d.Attributes[name] = a
			}
		}
	}
}

func isList(a *resourcev1.DeviceAttribute) bool {
	return a.BoolValues != nil || a.IntValues != nil || a.StringValues != nil || a.VersionValues != nil
}

func sliceWarnings(s, _ *resourcev1.ResourceSlice) (texts []string) {
	if s.Spec.Driver != strings.ToLower(s.Spec.Driver) {
		texts = append(texts, fmt.Sprintf("spec.driver: driver names should be lowercase; %q contains uppercase characters", s.Spec.Driver))
	}
	return texts
}
