package apps

import (
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema"
	"gantry/schema/core"
)

// DaemonSet is the kind of daemonsets.
var DaemonSet = &schema.Kind{
	Version: schema.Version{
		Group: "apps", Version: "v1", Kind: "DaemonSet",
		New:     func() schema.Object { return &appsv1.DaemonSet{} },
		NewList: func() runtime.Object { return &appsv1.DaemonSetList{} },
		Columns: daemonSetColumns, Row: daemonSetRow,
		Default: schema.Preparation(defaultDaemonSet),
	},
	Plural: "daemonsets", Singular: "daemonset", ShortNames: []string{"ds"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "daemonsets",

	Subresources:        []schema.Subresource{schema.Status(prepareDaemonSetStatus, validateDaemonSetStatus)},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareDaemonSetCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareDaemonSetUpdate),
	Bound:          schema.Validation(boundDaemonSet),
	Validate:       schema.Validation(validateDaemonSet),
	ValidateUpdate: schema.UpdateValidation(validateDaemonSetUpdate),
	Warnings:       schema.Warnings(daemonSetWarnings),
}

func defaultDaemonSet(ds *appsv1.DaemonSet) {
	spec := &ds.Spec
	if spec.UpdateStrategy.Type == "" {
		spec.UpdateStrategy.Type = appsv1.RollingUpdateDaemonSetStrategyType
	}
	if spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		core.SetIfNil(&spec.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		core.SetIfNil(&spec.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		core.SetIfNil(&spec.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	core.SetIfNil(&spec.RevisionHistoryLimit, 10)
	core.DefaultPodSpec(&spec.Template.Spec)
	if n, err := templateGeneration(ds); err == nil {
		setTemplateGeneration(ds, n)
	}
}

// generationKey is the annotation that counts the changes of the template. It was a field once, which only the server set.
const generationKey = appsv1.DeprecatedTemplateGeneration

// templateGeneration is 0 where there is none, and an error for what is no number.
func templateGeneration(ds *appsv1.DaemonSet) (int64, error) {
	text, there := ds.Annotations[generationKey]
	if !there {
		return 0, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

func setTemplateGeneration(ds *appsv1.DaemonSet, n int64) {
	if text := strconv.FormatInt(n, 10); ds.Annotations[generationKey] != text {
		ds.Annotations = maps.Clone(ds.Annotations)
		if ds.Annotations == nil {
			ds.Annotations = map[string]string{}
		}
		ds.Annotations[generationKey] = text
	}
}

func prepareDaemonSetCreate(ds *appsv1.DaemonSet) {
	ds.Status = appsv1.DaemonSetStatus{}
	ds.Generation = 1
	if n, err := templateGeneration(ds); err == nil {
		setTemplateGeneration(ds, max(n, 1))
	}
	core.DropOff(&ds.Spec.Template.Spec, nil)
}

func prepareDaemonSetUpdate(ds, old *appsv1.DaemonSet) {
	ds.Status = old.Status
	core.DropOff(&ds.Spec.Template.Spec, &old.Spec.Template.Spec)
	ds.Generation = old.Generation
	if !equality.Semantic.DeepEqual(ds.Spec, old.Spec) {
		ds.Generation++
	}
	if _, err := templateGeneration(ds); err != nil {
		return
	}
	n, _ := templateGeneration(old)
	if !equality.Semantic.DeepEqual(ds.Spec.Template, old.Spec.Template) {
		n++
	}
	setTemplateGeneration(ds, n)
}

func prepareDaemonSetStatus(ds, old *appsv1.DaemonSet) {
	ds.Spec = old.Spec
	ds.Generation = old.Generation
	n, _ := templateGeneration(old)
	setTemplateGeneration(ds, n)
}
