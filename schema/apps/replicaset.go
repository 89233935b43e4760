package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
	"gantry/schema/core"
)

// ReplicaSet is the kind of replicasets.
var ReplicaSet = &schema.Kind{
	Version: schema.Version{
		Group: "apps", Version: "v1", Kind: "ReplicaSet",
		New:     func() schema.Object { return &appsv1.ReplicaSet{} },
		NewList: func() runtime.Object { return &appsv1.ReplicaSetList{} },
		Columns: replicaSetColumns, Row: replicaSetRow,
		Default: schema.Preparation(defaultReplicaSet),
	},
	Plural: "replicasets", Singular: "replicaset", ShortNames: []string{"rs"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "replicasets",

	Subresources: []schema.Subresource{
		schema.ScaleAt(".spec.replicas", ".status.replicas", ".spec.selector"),
		schema.Status(prepareReplicaSetStatus, validateReplicaSetStatus),
	},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareReplicaSetCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareReplicaSetUpdate),
	Bound:          schema.Validation(boundReplicaSet),
	Validate:       schema.Validation(validateReplicaSet),
	ValidateUpdate: schema.UpdateValidation(validateReplicaSetUpdate),
	Warnings:       schema.Warnings(replicaSetWarnings),
}

func defaultReplicaSet(rs *appsv1.ReplicaSet) {
	core.SetIfNil(&rs.Spec.Replicas, 1)
	core.DefaultPodSpec(&rs.Spec.Template.Spec)
}

func prepareReplicaSetCreate(rs *appsv1.ReplicaSet) {
	rs.Status = appsv1.ReplicaSetStatus{}
	rs.Generation = 1
	core.DropOff(&rs.Spec.Template.Spec, nil)
}

func prepareReplicaSetUpdate(rs, old *appsv1.ReplicaSet) {
	rs.Status = old.Status
	core.DropOff(&rs.Spec.Template.Spec, &old.Spec.Template.Spec)
	rs.Generation = old.Generation
	if !equality.Semantic.DeepEqual(rs.Spec, old.Spec) {
		rs.Generation++
	}
}

func prepareReplicaSetStatus(rs, old *appsv1.ReplicaSet) {
	rs.Spec = old.Spec
	rs.Generation = old.Generation
}
