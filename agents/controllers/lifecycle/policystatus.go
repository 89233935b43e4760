package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/admissionregistration"
	"gantry/schema/cel"
	"gantry/schema/openapi"
)

// NewPolicyStatus tells in the status of validating admission policies which expressions do not fit the types of the objects that the
// policy is for. Such a policy is in force all the same.
func NewPolicyStatus(e *controller.Env) controller.Reconciler {
	return controller.Reconciler{
		Reconcile: func(ctx context.Context, name string) (time.Duration, error) {
			p, err := registry.For[*admissionv1.ValidatingAdmissionPolicy](e.Registry).Cached(ctx, "", name)
			if errors.Is(err, registry.NotFound) {
				return 0, nil
			}
			if err != nil {
				return 0, err
			}
			return 0, e.Execute(ctx, planPolicyStatus(p, e.Registry.Kinds().Set()))
		},
		Watches: []controller.Watch{{Kind: admissionregistration.ValidatingAdmissionPolicy, Keys: func(_, current schema.Object) {
			if current != nil {
				e.Enqueue(current.GetName(), 0)
			}
		}}},
	}
}

// planPolicyStatus checks each generation of a policy once.
func planPolicyStatus(p *admissionv1.ValidatingAdmissionPolicy, kinds *schema.Set) []controller.Action {
	if p.Generation <= p.Status.ObservedGeneration {
		return nil
	}
	changed := p.DeepCopy()
	changed.Status.ObservedGeneration = p.Generation
	changed.Status.TypeChecking = &admissionv1.TypeChecking{ExpressionWarnings: checkTypes(p, kinds)}
	return []controller.Action{{Do: controller.UpdateStatus, Kind: admissionregistration.ValidatingAdmissionPolicy, Object: changed,
		Reason: fmt.Sprintf("%d type checking warnings", len(changed.Status.TypeChecking.ExpressionWarnings))}}
}

// checkTypes returns what is wrong with the expressions of validations and of their messages, for every kind that the policy names.
func checkTypes(p *admissionv1.ValidatingAdmissionPolicy, kinds *schema.Set) []admissionv1.ExpressionWarning {
	type checker struct {
		of kschema.GroupVersionKind
		*cel.TypeChecker
	}
	var checkers []checker
	params := typeOfParams(p.Spec.ParamKind, kinds)
	for _, v := range typesToCheck(p, kinds) {
		object := typeOf(v, v.Kind)
		if object == nil {
			continue
		}
		c := cel.NewTypeChecker(&cel.Budget{}, object, p.Spec.ParamKind != nil, params)
		for _, variable := range p.Spec.Variables {
			c.AddVariable(variable.Name, variable.Expression)
		}
		checkers = append(checkers, checker{v.GVK(), c})
	}
	var warnings []admissionv1.ExpressionWarning
	check := func(expression string, at *field.Path) {
		var texts []string
		for _, c := range checkers {
			if wrong := c.Check(expression); wrong != "" {
				texts = append(texts, fmt.Sprintf("%v: %s\n", c.of, wrong))
			}
		}
		if len(texts) > 0 {
			warnings = append(warnings, admissionv1.ExpressionWarning{FieldRef: at.String(), Warning: strings.Join(texts, "\n")})
		}
	}
	for i, v := range p.Spec.Validations {
		at := field.NewPath("spec", "validations").Index(i)
		check(v.Expression, at.Child("expression"))
		if v.MessageExpression != "" {
			check(v.MessageExpression, at.Child("messageExpression"))
		}
	}
	return warnings
}

// maxTypes is how many types one rule is checked for.
const maxTypes = 10

// typesToCheck are the types that a policy's rules name, by group, version and kind. Rules with wildcards name none.
func typesToCheck(p *admissionv1.ValidatingAdmissionPolicy, kinds *schema.Set) []*schema.Version {
	if p.Spec.MatchConstraints == nil {
		return nil
	}
	var all []*schema.Version
	for i := range p.Spec.MatchConstraints.ResourceRules {
		r, n := &p.Spec.MatchConstraints.ResourceRules[i], 0
		if hasWildcard(r.APIGroups) || hasWildcard(r.APIVersions) {
			continue
		}
		for _, v := range named(&r.Rule, kinds) {
			if n++; n <= maxTypes && !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	slices.SortFunc(all, func(a, b *schema.Version) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

func hasWildcard(list []string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, "*") })
}

// named are the types that a rule names, in the order of groups, versions and resources. The empty group stands for every group, as in
// Kubernetes. Subresources and wildcards are left out.
func named(r *admissionv1.Rule, kinds *schema.Set) (all []*schema.Version) {
	sorted := func(list []string) []string { return slices.Sorted(slices.Values(list)) }
	for _, group := range sorted(r.APIGroups) {
		for _, version := range sorted(r.APIVersions) {
			for _, resource := range sorted(r.Resources) {
				for _, k := range kinds.All {
					for _, v := range k.Served() {
						if (group == "" || v.Group == group) && v.Version == version && (k.Plural == resource || k.Singular == resource) {
							all = append(all, v)
						}
					}
				}
			}
		}
	}
	return all
}

// typeOfParams is the type of a policy's parameters; nil where it is not known.
func typeOfParams(kind *admissionv1.ParamKind, kinds *schema.Set) *cel.Type {
	if kind == nil {
		return nil
	}
	gv, err := kschema.ParseGroupVersion(kind.APIVersion)
	if err != nil {
		return nil
	}
	for _, k := range kinds.All {
		for _, v := range k.Served() {
			if v.GVK() == gv.WithKind(kind.Kind) {
				return typeOf(v, "Params"+v.Kind)
			}
		}
	}
	return nil
}

// typeOf is the type of a version's objects; nil for custom ones.
func typeOf(v *schema.Version, name string) *cel.Type {
	if v.IsUnstructured() {
		return nil
	}
	s, err := openapi.Resolved(v.Type())
	if err != nil {
		return nil
	}
	return cel.TypeOf(name, s)
}
