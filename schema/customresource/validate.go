package customresource

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	apiservervalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"

	"gantry/schema"
)

// prune removes from an object what its schema does not know, and nulls that it does not allow, and returns the paths of what it did not know.
func (v *version) prune(obj schema.Object) (unknown []string, err error) {
	object := obj.(*unstructured.Unstructured).Object
	c, err := v.source.compiled()
	if err != nil {
		return nil, err
	}
	if c.shape != nil && !c.embedded && c.shape.knowsObject(object) {
		return nil, nil // most objects are known
	}
	if !v.source.preserveUnknown {
		unknown = pruning.PruneWithOptions(object, c.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
		defaulting.PruneNonNullableNullsWithoutDefaults(object, c.structural)
	}
	wrong, embedded := objectmeta.CoerceWithOptions(nil, object, c.structural, false, objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true})
	if wrong != nil {
		return nil, wrong
	}
	return append(unknown, embedded...), nil
}

func (v *version) setDefaults(u *unstructured.Unstructured) {
	c, err := v.source.compiled() // it was checked when the kind was made
	if err == nil && (c.shape == nil || !c.shape.isDefaulted(u.Object)) {
		defaulting.Default(u.Object, c.structural)
	}
}

// defaultsStatus tells whether objects without a status get one.
func (v *version) defaultsStatus() bool {
	c, err := v.source.compiled()
	return err == nil && c.structural != nil && c.structural.Properties["status"].Default.Object != nil
}

// validate returns every error of a new object: of its metadata, by the schema, of its replicas, of the metadata in embedded objects, of lists
// that are sets and maps, and by the rules of the schema, in this order.
func (v *version) validate(u *unstructured.Unstructured) field.ErrorList {
	c, checks, err := v.checks()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	errs := apivalidation.ValidateObjectMetaAccessor(u, v.namespaced, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	fine := c.allows(u.Object)
	if checks.object != nil && !fine {
		errs = append(errs, apiservervalidation.ValidateCustomResource(nil, u.Object, checks.object)...)
	}
	errs = append(errs, v.scaleErrors(u, true)...)
	errs = append(errs, embeddedErrors(c, u)...)
	if !fine {
		errs = append(errs, listErrors(c, u, nil)...)
	}
	return append(errs, ruleErrors(errs, c, checks, u, nil)...)
}

// validateUpdate returns every error of u in the place of old. What has not changed is checked less: see KEP-4008.
func (v *version) validateUpdate(u, old *unstructured.Unstructured) field.ErrorList {
	c, checks, err := v.checks()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	correlated := common.NewCorrelatedObject(u.Object, old.Object, &model.Structural{Structural: c.structural})
	errs := apivalidation.ValidateObjectMetaAccessorUpdate(u, old, field.NewPath("metadata"))
	fine := c.allows(u.Object)
	if checks.object != nil && !fine {
		errs = append(errs, apiservervalidation.ValidateCustomResourceUpdate(nil, u.Object, old.Object, checks.object, apiservervalidation.WithRatcheting(correlated))...)
	}
	errs = append(errs, v.scaleErrors(u, true)...)
	errs = append(errs, embeddedErrors(c, u)...)
	if !fine {
		errs = append(errs, listErrors(c, u, old)...)
	}
	return append(errs, ruleErrors(errs, c, checks, u, old, cel.WithRatcheting(correlated))...)
}

// validateStatus returns every error of u in the place of old, of which only the status has changed.
func (v *version) validateStatus(u, old *unstructured.Unstructured) field.ErrorList {
	c, checks, err := v.checks()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	correlated := common.NewCorrelatedObject(u.Object, old.Object, &model.Structural{Structural: c.structural})
	errs := apivalidation.ValidateObjectMetaAccessorUpdate(u, old, field.NewPath("metadata"))
	if status, there := u.Object["status"]; there && checks.status != nil && !c.allowsStatus(status) {
		var options []apiservervalidation.ValidationOption
		if c.structural != nil {
			options = append(options, apiservervalidation.WithRatcheting(correlated.Key("status")))
		}
		errs = append(errs, apiservervalidation.ValidateCustomResourceUpdate(field.NewPath("status"), status, old.Object["status"], checks.status, options...)...)
	}
	errs = append(errs, v.scaleErrors(u, false)...)
	errs = append(errs, listErrors(c, u, old)...)
	return append(errs, ruleErrors(errs, c, checks, u, old, cel.WithRatcheting(correlated))...)
}

func (v *version) checks() (*compiled, *validators, error) {
	c, err := v.source.compiled()
	if err != nil {
		return nil, nil, err
	}
	checks, err := c.validators()
	return c, checks, err
}

// allows tells that an object is valid by its schema, and the lists in it; false: it is not, or that is not clear.
func (c *compiled) allows(object map[string]any) bool {
	return c.shape != nil && c.shape.allows(object)
}

// allowsStatus is allows of a status.
func (c *compiled) allowsStatus(status any) bool {
	return c.shape != nil && c.shape.properties["status"] != nil && c.shape.properties["status"].allows(status)
}

// embeddedErrors are those of the metadata in embedded objects.
func embeddedErrors(c *compiled, u *unstructured.Unstructured) field.ErrorList {
	if !c.embedded {
		return nil
	}
	return objectmeta.Validate(nil, u.Object, c.structural, false)
}

// listErrors are those of lists that are sets and maps, unless old has some too; old nil: u is new.
func listErrors(c *compiled, u, old *unstructured.Unstructured) field.ErrorList {
	if !c.lists {
		return nil
	}
	errs := listtype.ValidateListSetsAndMaps(nil, c.structural, u.Object)
	if len(errs) > 0 && old != nil && len(listtype.ValidateListSetsAndMaps(nil, c.structural, old.Object)) > 0 {
		return nil
	}
	return errs
}

// ruleErrors are those of the rules in the schema (x-kubernetes-validations); old nil: u is new. Rules are not evaluated on an object whose types
// or sizes are wrong.
func ruleErrors(before field.ErrorList, c *compiled, checks *validators, u, old *unstructured.Unstructured, options ...cel.Option) field.ErrorList {
	if checks.rules == nil {
		return nil
	}
	if slices.ContainsFunc(before, blocksRules) {
		return field.ErrorList{field.Invalid(nil, nil, "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation")}
	}
	var was any
	if old != nil {
		was = old.Object
	}
	errs, _ := checks.rules.Validate(context.Background(), nil, c.structural, u.Object, was, celconfig.RuntimeCELCostBudget, options...)
	return errs
}

func blocksRules(e *field.Error) bool {
	switch e.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	}
	return false
}

// scaleErrors are those of what the scale subresource shows; spec: also of the wanted replicas.
func (v *version) scaleErrors(u *unstructured.Unstructured, spec bool) (errs field.ErrorList) {
	if v.scale == nil {
		return nil
	}
	if spec {
		errs = replicasErrors(u, v.scale.SpecReplicasPath)
	}
	errs = append(errs, replicasErrors(u, v.scale.StatusReplicasPath)...)
	if p := v.scale.LabelSelectorPath; p != nil {
		if text, _, err := unstructured.NestedString(u.Object, steps(*p)...); err != nil {
			errs = append(errs, field.Invalid(field.NewPath(*p), text, err.Error()))
		}
	}
	return errs
}

func replicasErrors(u *unstructured.Unstructured, path string) field.ErrorList {
	n, _, err := unstructured.NestedInt64(u.Object, steps(path)...)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(field.NewPath(path), n, err.Error())}
	case n < 0:
		return field.ErrorList{field.Invalid(field.NewPath(path), n, "should be a non-negative integer")}
	case n > math.MaxInt32:
		return field.ErrorList{field.Invalid(field.NewPath(path), n, fmt.Sprintf("should be less than or equal to %v", math.MaxInt32))}
	}
	return nil
}

func steps(path string) []string { return strings.Split(strings.TrimPrefix(path, "."), ".") }

// warnings are about finalizers that old (nil: u is new) does not have and that others might use too.
func warnings(u, old *unstructured.Unstructured) (texts []string) {
	var had []string
	if old != nil {
		had = old.GetFinalizers()
	}
	added := slices.DeleteFunc(slices.Sorted(slices.Values(u.GetFinalizers())), func(f string) bool { return slices.Contains(had, f) })
	for _, f := range slices.Compact(added) {
		for _, wrong := range validation.IsQualifiedName(f) {
			texts = append(texts, fmt.Sprintf("metadata.finalizers: %q: %s", f, wrong))
		}
		switch {
		case strings.Contains(f, "/") || schema.StandardFinalizer(f):
		case strings.Contains(f, "."):
			texts = append(texts, fmt.Sprintf("metadata.finalizers: %q: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers", f))
		default:
			texts = append(texts, fmt.Sprintf("metadata.finalizers: %q: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers", f))
		}
	}
	return texts
}
