package apiextensions

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/api/equality"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	definitions "gantry/schema/apiextensions"
)

// planStatus is d with the status that it should have beside the other definitions of its group. served tells that its kind is served; refused is
// why it will not be. The result shares d's spec.
func planStatus(d *definition, others []*definition, served bool, refused error, now time.Time) *definition {
	next := &definition{TypeMeta: d.TypeMeta, ObjectMeta: *d.ObjectMeta.DeepCopy(), Spec: d.Spec, Status: *d.Status.DeepCopy()}
	acceptNames(next, others, now)
	setOrRemove(next, apiextensionsv1.NonStructuralSchema, notStructural(d), now)
	if c := approval(d); c != nil {
		setOrRemove(next, c.Type, c, now)
	}
	if !accepted(d) || definitions.HasCondition(d, apiextensionsv1.Established) {
		return next
	}
	c := definitions.Condition{Type: apiextensionsv1.Established}
	switch {
	case served:
		c.Status, c.Reason, c.Message = apiextensionsv1.ConditionTrue, "InitialNamesAccepted", "the initial names have been accepted"
	case refused != nil:
		c.Status, c.Reason, c.Message = apiextensionsv1.ConditionFalse, "NotServed", refused.Error()
	default:
		return next
	}
	definitions.SetCondition(next, c, now)
	return next
}

func setOrRemove(d *definition, t apiextensionsv1.CustomResourceDefinitionConditionType, c *definitions.Condition, now time.Time) {
	if c == nil {
		definitions.RemoveCondition(d, t)
	} else {
		definitions.SetCondition(d, *c, now)
	}
}

// acceptNames gives next the names that it wants and that no other definition of its group has.
func acceptNames(next *definition, others []*definition, now time.Time) {
	want, is := next.Spec.Names, next.Status.AcceptedNames
	if equality.Semantic.DeepEqual(want, is) {
		return
	}
	resources, kinds := namesOf(others)
	named := definitions.Condition{Type: apiextensionsv1.NamesAccepted, Status: apiextensionsv1.ConditionTrue, Reason: "NoConflicts", Message: "no conflicts found"}
	refuse := func(reason string, err error) {
		named.Status, named.Reason, named.Message = apiextensionsv1.ConditionFalse, reason, err.Error()
	}
	accept := func(reason, want string, is *string, used map[string]bool) {
		if want != *is && used[want] {
			refuse(reason, fmt.Errorf("%q is already in use", want))
			return
		}
		*is = want
	}
	accept("PluralConflict", want.Plural, &is.Plural, resources)
	accept("SingularConflict", want.Singular, &is.Singular, resources)
	if err := shortNameErrors(want.ShortNames, is.ShortNames, resources); err != nil {
		refuse("ShortNamesConflict", err)
	} else {
		is.ShortNames = want.ShortNames
	}
	accept("KindConflict", want.Kind, &is.Kind, kinds)
	accept("ListKindConflict", want.ListKind, &is.ListKind, kinds)
	is.Categories = want.Categories
	next.Status.AcceptedNames = is
	definitions.SetCondition(next, named, now)
	if definitions.HasCondition(next, apiextensionsv1.Established) {
		return
	}
	c := definitions.Condition{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionFalse, Reason: "NotAccepted", Message: "not all names are accepted"}
	if was := definitions.FindCondition(next, apiextensionsv1.Established); was != nil {
		c = *was
	}
	if named.Status == apiextensionsv1.ConditionTrue {
		c.Status, c.Reason, c.Message = apiextensionsv1.ConditionFalse, "Installing", "the initial names have been accepted"
	}
	definitions.SetCondition(next, c, now)
}

// namesOf are the names that definitions have: of resources and of kinds.
func namesOf(others []*definition) (resources, kinds map[string]bool) {
	resources, kinds = map[string]bool{}, map[string]bool{}
	for _, other := range others {
		n := other.Status.AcceptedNames
		for _, name := range append([]string{n.Plural, n.Singular}, n.ShortNames...) {
			resources[name] = true
		}
		kinds[n.Kind], kinds[n.ListKind] = true, true
	}
	return resources, kinds
}

func shortNameErrors(want, is []string, used map[string]bool) error {
	var errs []error
	for _, name := range want {
		if !slices.Contains(is, name) && used[name] {
			errs = append(errs, fmt.Errorf("%q is already in use", name))
		}
	}
	return utilerrors.NewAggregate(errs)
}

// notStructural is the condition of a definition with a schema that is not structural; nil: all are.
func notStructural(d *definition) *definitions.Condition {
	c := &definitions.Condition{Type: apiextensionsv1.NonStructuralSchema, Status: apiextensionsv1.ConditionUnknown}
	var errs field.ErrorList
	if d.Spec.PreserveUnknownFields {
		errs = append(errs, field.Invalid(field.NewPath("spec", "preserveUnknownFields"), true, "must be false"))
	}
	for i, v := range d.Spec.Versions {
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			continue
		}
		var props apiextensions.JSONSchemaProps
		err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil) // it does not change what it converts
		var s *structuralschema.Structural
		if err == nil {
			s, err = structuralschema.NewStructural(&props)
		}
		if err != nil {
			c.Reason, c.Message = "StructuralError", fmt.Sprintf("failed to check validation schema for version %s: %v", v.Name, err)
			return c
		}
		path := field.NewPath("spec", "versions").Index(i).Child("schema", "openAPIV3Schema")
		errs = append(errs, structuralschema.ValidateStructural(path, s)...)
	}
	if len(errs) == 0 {
		return nil
	}
	c.Status, c.Reason, c.Message = apiextensionsv1.ConditionTrue, "Violations", errs.ToAggregate().Error()
	return c
}

// approval is the condition of a definition in a group of Kubernetes' own, by its annotation; nil for other groups.
func approval(d *definition) *definitions.Condition {
	if !apihelpers.IsProtectedCommunityGroup(d.Spec.Group) {
		return nil
	}
	state, text := apihelpers.GetAPIApprovalState(d.Annotations)
	c := &definitions.Condition{
		Type: apiextensionsv1.KubernetesAPIApprovalPolicyConformant, Status: apiextensionsv1.ConditionFalse, Message: strings.TrimSpace(text),
	}
	switch state {
	case apihelpers.APIApproved:
		c.Status, c.Reason = apiextensionsv1.ConditionTrue, "ApprovedAnnotation"
	case apihelpers.APIApprovalBypassed:
		c.Reason = "UnapprovedAnnotation"
	case apihelpers.APIApprovalMissing:
		c.Reason = "MissingAnnotation"
	default:
		c.Reason = "InvalidAnnotation"
	}
	return c
}
