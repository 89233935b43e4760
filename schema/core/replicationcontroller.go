package core

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// ReplicationController is the kind of replicationcontrollers.
var ReplicationController = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "ReplicationController",
		New:     func() schema.Object { return &corev1.ReplicationController{} },
		NewList: func() runtime.Object { return &corev1.ReplicationControllerList{} },
		Columns: replicationControllerColumns, Row: replicationControllerRow,
		Default: schema.Preparation(defaultReplicationController),
		Fields: []schema.Field{
			schema.FieldOf("status.replicas", func(rc *corev1.ReplicationController) string { return strconv.Itoa(int(rc.Status.Replicas)) }),
		},
	},
	Plural: "replicationcontrollers", Singular: "replicationcontroller", ShortNames: []string{"rc"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "controllers",

	Subresources: []schema.Subresource{
		schema.ScaleAt(".spec.replicas", ".status.replicas", ".spec.selector"),
		schema.Status(prepareReplicationControllerStatus, validateReplicationControllerStatus),
	},
	UnconditionalUpdate: true,
	ValidateName:        replicationControllerName,
	OrphansDependents:   true,

	PrepareCreate:  schema.Preparation(prepareReplicationControllerCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareReplicationControllerUpdate),
	Bound:          schema.Validation(boundReplicationController),
	Validate:       schema.Validation(validateReplicationController),
	ValidateUpdate: schema.UpdateValidation(validateReplicationControllerUpdate),
	Warnings:       schema.Warnings(replicationControllerWarnings),
}

// replicationControllerName checks no generateName: the name made of it is checked.
func replicationControllerName(name string, prefix bool) []string {
	if prefix {
		return nil
	}
	return apivalidation.NameIsDNSSubdomain(name, false)
}

func defaultReplicationController(rc *corev1.ReplicationController) {
	if t := rc.Spec.Template; t != nil {
		if len(rc.Spec.Selector) == 0 && t.Labels != nil {
			rc.Spec.Selector = maps.Clone(t.Labels)
		}
		if len(rc.Labels) == 0 && t.Labels != nil {
			rc.Labels = maps.Clone(t.Labels)
		}
		DefaultPodSpec(&t.Spec)
	}
	SetIfNil(&rc.Spec.Replicas, 1)
}

// podSpecOf is the spec of a template; nil where there is none.
func podSpecOf(t *corev1.PodTemplateSpec) *corev1.PodSpec {
	if t == nil {
		return nil
	}
	return &t.Spec
}

func prepareReplicationControllerCreate(rc *corev1.ReplicationController) {
	rc.Status = corev1.ReplicationControllerStatus{}
	rc.Generation = 1
	if rc.Spec.Template != nil {
		DropOff(&rc.Spec.Template.Spec, nil)
	}
}

func prepareReplicationControllerUpdate(rc, old *corev1.ReplicationController) {
	rc.Status = old.Status
	if rc.Spec.Template != nil {
		DropOff(&rc.Spec.Template.Spec, podSpecOf(old.Spec.Template))
	}
	rc.Generation = old.Generation
	if !equality.Semantic.DeepEqual(rc.Spec, old.Spec) {
		rc.Generation++
	}
}

func prepareReplicationControllerStatus(rc, old *corev1.ReplicationController) {
	rc.Spec = old.Spec
	rc.Generation = old.Generation
}

var replicationControllerColumns = append([]metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.NumberColumn("Desired", corev1.ReplicationControllerSpec{}.SwaggerDoc()["replicas"]),
	schema.NumberColumn("Current", corev1.ReplicationControllerStatus{}.SwaggerDoc()["replicas"]),
	schema.NumberColumn("Ready", corev1.ReplicationControllerStatus{}.SwaggerDoc()["readyReplicas"]),
	schema.AgeColumn(),
}, TemplateColumns(corev1.ReplicationControllerSpec{}.SwaggerDoc()["selector"])...)

func replicationControllerRow(obj schema.Object, now metav1.Time) []any {
	rc := obj.(*corev1.ReplicationController)
	desired := int64(0)
	if rc.Spec.Replicas != nil {
		desired = int64(*rc.Spec.Replicas)
	}
	return append(append([]any{
		rc.Name,
		desired,
		int64(rc.Status.Replicas),
		int64(rc.Status.ReadyReplicas),
		schema.Age(rc.CreationTimestamp, now),
	}, ContainerCells(rc.Spec.Template)...), labels.FormatLabels(rc.Spec.Selector))
}
