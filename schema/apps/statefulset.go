package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
	"gantry/schema/core"
)

// StatefulSet is the kind of statefulsets.
var StatefulSet = &schema.Kind{
	Version: schema.Version{
		Group: "apps", Version: "v1", Kind: "StatefulSet",
		New:     func() schema.Object { return &appsv1.StatefulSet{} },
		NewList: func() runtime.Object { return &appsv1.StatefulSetList{} },
		Columns: statefulSetColumns, Row: statefulSetRow,
		Default: schema.Preparation(defaultStatefulSet),
	},
	Plural: "statefulsets", Singular: "statefulset", ShortNames: []string{"sts"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "statefulsets",

	Subresources: []schema.Subresource{
		schema.ScaleAt(".spec.replicas", ".status.replicas", ".spec.selector"),
		schema.Status(prepareStatefulSetStatus, validateStatefulSetStatus),
	},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSLabel,

	PrepareCreate:  schema.Preparation(prepareStatefulSetCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareStatefulSetUpdate),
	Bound:          schema.Validation(boundStatefulSet),
	Validate:       schema.Validation(validateStatefulSet),
	ValidateUpdate: schema.UpdateValidation(validateStatefulSetUpdate),
	Warnings:       schema.Warnings(statefulSetWarnings),
}

func defaultStatefulSet(s *appsv1.StatefulSet) {
	spec := &s.Spec
	if spec.PodManagementPolicy == "" {
		spec.PodManagementPolicy = appsv1.OrderedReadyPodManagement
	}
	strategy := &spec.UpdateStrategy
	if strategy.Type == "" {
		strategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
		core.SetIfNil(&strategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
	}
	if strategy.Type == appsv1.RollingUpdateStatefulSetStrategyType && strategy.RollingUpdate != nil {
		core.SetIfNil(&strategy.RollingUpdate.Partition, 0)
	}
	core.SetIfNil(&spec.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	retention := spec.PersistentVolumeClaimRetentionPolicy
	for _, policy := range []*appsv1.PersistentVolumeClaimRetentionPolicyType{&retention.WhenDeleted, &retention.WhenScaled} {
		if *policy == "" {
			*policy = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
		}
	}
	core.SetIfNil(&spec.Replicas, 1)
	core.SetIfNil(&spec.RevisionHistoryLimit, 10)
	core.DefaultPodSpec(&spec.Template.Spec)
	for i := range spec.VolumeClaimTemplates {
		claim := &spec.VolumeClaimTemplates[i]
		claim.APIVersion, claim.Kind = "v1", "PersistentVolumeClaim" // whatever was sent
		core.DefaultClaim(claim)
	}
}

func prepareStatefulSetCreate(s *appsv1.StatefulSet) {
	s.Status = appsv1.StatefulSetStatus{}
	s.Generation = 1
	dropOffStatefulSet(s, nil)
}

func prepareStatefulSetUpdate(s, old *appsv1.StatefulSet) {
	s.Status = old.Status
	dropOffStatefulSet(s, old)
	s.Generation = old.Generation
	if !equality.Semantic.DeepEqual(s.Spec, old.Spec) {
		s.Generation++
	}
}

func prepareStatefulSetStatus(s, old *appsv1.StatefulSet) {
	s.Spec = old.Spec
	s.Generation = old.Generation
}

// dropOffStatefulSet clears what belongs to features that Kubernetes 1.36 has off, unless old, which may be nil, has it.
func dropOffStatefulSet(s, old *appsv1.StatefulSet) {
	if old == nil {
		old = &appsv1.StatefulSet{}
	}
	core.DropOff(&s.Spec.Template.Spec, &old.Spec.Template.Spec)
	if r := old.Spec.UpdateStrategy.RollingUpdate; r != nil && r.MaxUnavailable != nil {
		return
	}
	if r := s.Spec.UpdateStrategy.RollingUpdate; r != nil {
		r.MaxUnavailable = nil
	}
}
