package apps

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema"
	"gantry/schema/core"
)

// Deployment is the kind of deployments.
var Deployment = &schema.Kind{
	Version: schema.Version{
		Group: "apps", Version: "v1", Kind: "Deployment",
		New:     func() schema.Object { return &appsv1.Deployment{} },
		NewList: func() runtime.Object { return &appsv1.DeploymentList{} },
		Columns: deploymentColumns, Row: deploymentRow,
		Default: schema.Preparation(defaultDeployment),
	},
	Plural: "deployments", Singular: "deployment", ShortNames: []string{"deploy"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "deployments",

	Subresources: []schema.Subresource{
		schema.ScaleAt(".spec.replicas", ".status.replicas", ".spec.selector"),
		schema.Status(prepareDeploymentStatus, validateDeploymentStatus).Resetting("metadata.labels"),
	},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareDeploymentCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareDeploymentUpdate),
	Bound:          schema.Validation(boundDeployment),
	Validate:       schema.Validation(validateDeployment),
	ValidateUpdate: schema.UpdateValidation(validateDeploymentUpdate),
	Warnings:       schema.Warnings(deploymentWarnings),
}

func defaultDeployment(d *appsv1.Deployment) {
	spec := &d.Spec
	core.SetIfNil(&spec.Replicas, 1)
	core.SetIfNil(&spec.RevisionHistoryLimit, 10)
	core.SetIfNil(&spec.ProgressDeadlineSeconds, 600)
	if spec.Strategy.Type == "" {
		spec.Strategy.Type = appsv1.RollingUpdateDeploymentStrategyType
	}
	if spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		if spec.Strategy.RollingUpdate == nil {
			spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}
		}
		core.SetIfNil(&spec.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		core.SetIfNil(&spec.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
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
