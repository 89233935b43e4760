package apps

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema"
	"gantry/schema/core"
)

// Deployment is the kind of deployments.
var Deployment = &schema.Kind{
	Group: "apps", Version: "v1", Kind: "Deployment",
	Plural: "deployments", Singular: "deployment", ShortNames: []string{"deploy"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "deployments",
	New:        func() schema.Object { return &appsv1.Deployment{} },
	NewList:    func() runtime.Object { return &appsv1.DeploymentList{} },

	Columns: deploymentColumns, Row: deploymentRow,

	HasStatus: true,
	Scale:     deploymentScale,
	Subresources: []schema.Subresource{
		{Name: "scale", Group: "autoscaling", Version: "v1", Kind: "Scale", Verbs: []string{"get", "patch", "update"}},
		{Name: "status", Kind: "Deployment", Verbs: []string{"get", "patch", "update"}},
	},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Default:        schema.Do(defaultDeployment),
	PrepareCreate:  schema.Do(prepareDeploymentCreate),
	PrepareUpdate:  schema.Do2(prepareDeploymentUpdate),
	PrepareStatus:  schema.Do2(prepareDeploymentStatus),
	Bound:          schema.Check(boundDeployment),
	Validate:       schema.Check(validateDeployment),
	ValidateUpdate: schema.Check2(validateDeploymentUpdate),
	ValidateStatus: schema.Check2(validateDeploymentStatus),
	Warnings:       schema.Warn(deploymentWarnings),
}

var deploymentScale = &schema.Scale{
	Get: func(obj schema.Object) (spec, status int32, selector string) {
		d := obj.(*appsv1.Deployment)
		if d.Spec.Replicas != nil {
			spec = *d.Spec.Replicas
		}
		return spec, d.Status.Replicas, selectorText(d.Spec.Selector)
	},
	Set: func(obj schema.Object, replicas int32) { obj.(*appsv1.Deployment).Spec.Replicas = &replicas },
}

func defaultDeployment(d *appsv1.Deployment) {
	spec := &d.Spec
	setIfNil(&spec.Replicas, 1)
	setIfNil(&spec.RevisionHistoryLimit, 10)
	setIfNil(&spec.ProgressDeadlineSeconds, 600)
	if spec.Strategy.Type == "" {
		spec.Strategy.Type = appsv1.RollingUpdateDeploymentStrategyType
	}
	if spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		if spec.Strategy.RollingUpdate == nil {
			spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}
		}
		setIfNil(&spec.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		setIfNil(&spec.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	core.DefaultPodSpec(&spec.Template.Spec)
}

func prepareDeploymentCreate(d *appsv1.Deployment) {
	d.Status = appsv1.DeploymentStatus{}
	d.Generation = 1
	core.DropOff(&d.Spec.Template.Spec, nil)
}

// prepareDeploymentUpdate counts changes of annotations as generations too: the controller copies them to ReplicaSets.
func prepareDeploymentUpdate(d, old *appsv1.Deployment) {
	d.Status = old.Status
	core.DropOff(&d.Spec.Template.Spec, &old.Spec.Template.Spec)
	d.Generation = old.Generation
	if !equality.Semantic.DeepEqual(d.Spec, old.Spec) || !equality.Semantic.DeepEqual(d.Annotations, old.Annotations) {
		d.Generation++
	}
}

func prepareDeploymentStatus(d, old *appsv1.Deployment) {
	d.Spec = old.Spec
	d.Labels = maps.Clone(old.Labels)
	d.Generation = old.Generation
}

func setIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// selectorText is a selector as list requests write it; "" for one that does not parse.
func selectorText(s *metav1.LabelSelector) string {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return ""
	}
	return selector.String()
}
