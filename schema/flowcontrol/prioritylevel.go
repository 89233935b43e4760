package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

type level = flowcontrolv1.PriorityLevelConfiguration

// PriorityLevelConfiguration is the kind of priority levels.
var PriorityLevelConfiguration = &schema.Kind{
	Version: schema.Version{
		Group: flowcontrolv1.GroupName, Version: "v1", Kind: "PriorityLevelConfiguration",
		New:     func() schema.Object { return &level{} },
		NewList: func() runtime.Object { return &flowcontrolv1.PriorityLevelConfigurationList{} },
		Columns: levelColumns, Row: levelRow,
		Default: schema.Preparation(defaultLevel),
	},
	Plural: "prioritylevelconfigurations", Singular: "prioritylevelconfiguration",
	UpdateMeta: schema.MetaOfCreate,
	Prefix:     "prioritylevelconfigurations",

	Subresources: []schema.Subresource{schema.Status(
		func(l, old *level) {
			l.Spec = old.Spec
			keepMeta(&l.ObjectMeta, &old.ObjectMeta)
		},
		func(l, _ *level) field.ErrorList { return checkLevelStatus(l).List },
	).Resetting("metadata")},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate: schema.Preparation(func(l *level) {
		l.Status, l.Generation = flowcontrolv1.PriorityLevelConfigurationStatus{}, 1
	}),
	PrepareUpdate: schema.UpdatePreparation(func(l, old *level) {
		if !equality.Semantic.DeepEqual(l.Spec, old.Spec) {
			l.Generation = old.Generation + 1
		}
		l.Status = old.Status
	}),
	Validate:       schema.Validation(validateLevel),
	ValidateUpdate: schema.UpdateValidation(func(l, _ *level) field.ErrorList { return validateLevel(l) }),
}

func defaultLevel(l *level) {
	if limited := l.Spec.Limited; limited != nil {
		setIfNil(&limited.NominalConcurrencyShares, 30)
		setIfNil(&limited.LendablePercent, 0)
		if q := limited.LimitResponse.Queuing; q != nil {
			setIfZero(&q.HandSize, 8)
			setIfZero(&q.Queues, 64)
			setIfZero(&q.QueueLengthLimit, 50)
		}
	}
	if exempt := l.Spec.Exempt; exempt != nil {
		setIfNil(&exempt.NominalConcurrencyShares, 0)
		setIfNil(&exempt.LendablePercent, 0)
	}
}

func setIfNil(field **int32, value int32) {
	if *field == nil {
		*field = &value
	}
}

func setIfZero(field *int32, value int32) {
	if *field == 0 {
		*field = value
	}
}

func checkLevelStatus(l *level) (f check.Errors) {
	checkConditions(&f, l.Status.Conditions, func(c flowcontrolv1.PriorityLevelConfigurationCondition) string { return string(c.Type) })
	return f
}
