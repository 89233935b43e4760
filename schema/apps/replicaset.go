package apps

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
	"gantry/schema/core"
)

// ReplicaSet is the kind of replicasets.
var ReplicaSet = &schema.Kind{
	Group: "apps", Version: "v1", Kind: "ReplicaSet",
	Plural: "replicasets", Singular: "replicaset", ShortNames: []string{"rs"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "replicasets",
	New:        func() schema.Object { return &appsv1.ReplicaSet{} },
	NewList:    func() runtime.Object { return &appsv1.ReplicaSetList{} },

	Columns: replicaSetColumns, Row: replicaSetRow,

	HasStatus: true,
	Scale:     replicaSetScale,
	Subresources: []schema.Subresource{
		{Name: "scale", Group: "autoscaling", Version: "v1", Kind: "Scale", Verbs: []string{"get", "patch", "update"}},
		{Name: "status", Kind: "ReplicaSet", Verbs: []string{"get", "patch", "update"}},
	},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Default:        schema.Do(defaultReplicaSet),
	PrepareCreate:  schema.Do(prepareReplicaSetCreate),
	PrepareUpdate:  schema.Do2(prepareReplicaSetUpdate),
	PrepareStatus:  schema.Do2(prepareReplicaSetStatus),
	Bound:          schema.Check(boundReplicaSet),
	Validate:       schema.Check(validateReplicaSet),
	ValidateUpdate: schema.Check2(validateReplicaSetUpdate),
	ValidateStatus: schema.Check2(validateReplicaSetStatus),
	Warnings:       schema.Warn(replicaSetWarnings),
	Fields:         replicaSetFields,
}

var replicaSetScale = &schema.Scale{
	Get: func(obj schema.Object) (spec, status int32, selector string) {
		rs := obj.(*appsv1.ReplicaSet)
		if rs.Spec.Replicas != nil {
			spec = *rs.Spec.Replicas
		}
		return spec, rs.Status.Replicas, selectorText(rs.Spec.Selector)
	},
	Set: func(obj schema.Object, replicas int32) { obj.(*appsv1.ReplicaSet).Spec.Replicas = &replicas },
}

func defaultReplicaSet(rs *appsv1.ReplicaSet) {
	setIfNil(&rs.Spec.Replicas, 1)
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

var replicaSetFields = []schema.Field{
	schema.FieldOf("status.replicas", func(rs *appsv1.ReplicaSet) string { return strconv.Itoa(int(rs.Status.Replicas)) }),
}
