package resource

import (
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/cel"
	"gantry/schema/core"
	"gantry/schema/internal/check"
)

// DeviceClass is the kind of what requests choose devices by.
var DeviceClass = &schema.Kind{
	Version: schema.Version{
		Group: resourcev1.GroupName, Version: "v1", Kind: "DeviceClass",
		New:     func() schema.Object { return &resourcev1.DeviceClass{} },
		NewList: func() runtime.Object { return &resourcev1.DeviceClassList{} },
		Columns: nameAndAge, Row: nameAndAgeRow,
	},
	Plural: "deviceclasses", Singular: "deviceclass",
	UpdateMeta: schema.MetaOfCreateFirst,
	Prefix:     "deviceclasses",

	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName: func(name string, prefix bool) []string {
		if prefix { // the name that is made of it is checked
			return path.ValidatePathSegmentName(name, true)
		}
		return content.IsDNS1123Subdomain(name)
	},

	PrepareCreate: schema.Preparation(func(c *resourcev1.DeviceClass) { c.Generation = 1 }),
	PrepareUpdate: schema.UpdatePreparation(func(c, old *resourcev1.DeviceClass) {
		if !equality.Semantic.DeepEqual(c.Spec, old.Spec) {
			c.Generation = old.Generation + 1
		}
	}),
	Validate:       schema.Validation(func(c *resourcev1.DeviceClass) field.ErrorList { return checkClass(&c.Spec, false, false) }),
	ValidateUpdate: schema.UpdateValidation(validateClassUpdate),
}

func validateClassUpdate(c, old *resourcev1.DeviceClass) field.ErrorList {
	spec, was := &c.Spec, &old.Spec
	return checkClass(spec, equality.Semantic.DeepEqual(spec.Selectors, was.Selectors), equality.Semantic.DeepEqual(spec.Config, was.Config))
}

// checkClass allows more in selectors and configurations that are stored already.
func checkClass(c *resourcev1.DeviceClassSpec, storedSelectors, storedConfig bool) field.ErrorList {
	var f check.Errors
	checkSelectors(&f, &cel.Budget{}, c.Selectors, storedSelectors, specPath.Child("selectors"))
	each(&f, c.Config, maxConfig, specPath.Child("config"), func(c *resourcev1.DeviceClassConfiguration, at *field.Path) {
		checkConfig(&f, &c.DeviceConfiguration, storedConfig, at)
	})
	if name := c.ExtendedResourceName; name != nil && !core.IsExtendedResource(corev1.ResourceName(*name)) {
		f.Invalid(specPath.Child("extendedResourceName"), *name, "must be a valid extended resource name")
	}
	return f.List
}
