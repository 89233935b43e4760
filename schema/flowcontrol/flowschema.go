// Package flowcontrol has the kinds of flowcontrol.apiserver.k8s.io: which requests are served with which priority. Nothing in Gantry
// reads them.
package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

// FlowSchema is the kind of what assigns requests to priority levels.
var FlowSchema = &schema.Kind{
	Version: schema.Version{
		Group: flowcontrolv1.GroupName, Version: "v1", Kind: "FlowSchema",
		New:     func() schema.Object { return &flowcontrolv1.FlowSchema{} },
		NewList: func() runtime.Object { return &flowcontrolv1.FlowSchemaList{} },
		Columns: flowSchemaColumns, Row: flowSchemaRow,
		Default: schema.Preparation(func(s *flowcontrolv1.FlowSchema) {
			if s.Spec.MatchingPrecedence == 0 {
				s.Spec.MatchingPrecedence = 1000
			}
		}),
	},
	Plural: "flowschemas", Singular: "flowschema",
	UpdateMeta: schema.MetaOfCreate,
	Prefix:     "flowschemas",

	Subresources: []schema.Subresource{schema.Status(
		func(s, old *flowcontrolv1.FlowSchema) {
			s.Spec = old.Spec
			keepMeta(&s.ObjectMeta, &old.ObjectMeta)
		},
		func(s, _ *flowcontrolv1.FlowSchema) field.ErrorList { return checkFlowSchemaStatus(s).List },
	).Resetting("metadata")},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate: schema.Preparation(func(s *flowcontrolv1.FlowSchema) {
		s.Status, s.Generation = flowcontrolv1.FlowSchemaStatus{}, 1
	}),
	PrepareUpdate: schema.UpdatePreparation(func(s, old *flowcontrolv1.FlowSchema) {
		if !equality.Semantic.DeepEqual(s.Spec, old.Spec) {
			s.Generation = old.Generation + 1
		}
		s.Status = old.Status
	}),
	Validate: schema.Validation(validateFlowSchema),
	ValidateUpdate: schema.UpdateValidation(func(s, _ *flowcontrolv1.FlowSchema) field.ErrorList {
		return validateFlowSchema(s)
	}),
}

// keepMeta sets metadata to old's, save for the managed fields.
func keepMeta(meta, old *metav1.ObjectMeta) {
	managed := meta.ManagedFields
	*meta = *old
	meta.ManagedFields = managed
}

func checkFlowSchemaStatus(s *flowcontrolv1.FlowSchema) (f check.Errors) {
	checkConditions(&f, s.Status.Conditions, func(c flowcontrolv1.FlowSchemaCondition) string { return string(c.Type) })
	return f
}

// checkConditions requires that conditions have a type, each once.
func checkConditions[T any](f *check.Errors, list []T, typeOf func(T) string) {
	seen := map[string]bool{}
	for i, c := range list {
		p, t := field.NewPath("status", "conditions").Index(i).Child("type"), typeOf(c)
		if seen[t] {
			f.Duplicate(p, t)
		}
		seen[t] = true
		f.Set(p, t)
	}
}
