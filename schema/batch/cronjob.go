package batch

import (
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
	"gantry/schema/core"
)

// CronJob is the kind of cronjobs.
var CronJob = &schema.Kind{
	Version: schema.Version{
		Group: "batch", Version: "v1", Kind: "CronJob",
		New:     func() schema.Object { return &batchv1.CronJob{} },
		NewList: func() runtime.Object { return &batchv1.CronJobList{} },
		Columns: cronJobColumns, Row: cronJobRow,
		Default: schema.Preparation(defaultCronJob),
	},
	Plural: "cronjobs", Singular: "cronjob", ShortNames: []string{"cj"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "cronjobs",

	Subresources:        []schema.Subresource{schema.Status(prepareCronJobStatus, validateCronJobStatus)},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareCronJobCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareCronJobUpdate),
	Bound:          schema.Validation(boundCronJob),
	Validate:       schema.Validation(validateCronJob),
	ValidateUpdate: schema.UpdateValidation(validateCronJobUpdate),
	Warnings:       schema.Warnings(cronJobWarnings),
}

func defaultCronJob(c *batchv1.CronJob) {
	spec := &c.Spec
	if spec.ConcurrencyPolicy == "" {
		spec.ConcurrencyPolicy = batchv1.AllowConcurrent
	}
	core.SetIfNil(&spec.Suspend, false)
	core.SetIfNil(&spec.SuccessfulJobsHistoryLimit, 3)
	core.SetIfNil(&spec.FailedJobsHistoryLimit, 1)
	defaultJobPods(&spec.JobTemplate.Spec)
}

func prepareCronJobCreate(c *batchv1.CronJob) {
	c.Status = batchv1.CronJobStatus{}
	c.Generation = 1
	core.DropOff(&c.Spec.JobTemplate.Spec.Template.Spec, nil)
}

func prepareCronJobUpdate(c, old *batchv1.CronJob) {
	c.Status = old.Status
	core.DropOff(&c.Spec.JobTemplate.Spec.Template.Spec, &old.Spec.JobTemplate.Spec.Template.Spec)
	c.Generation = old.Generation
	if !equality.Semantic.DeepEqual(c.Spec, old.Spec) {
		c.Generation++
	}
}

func prepareCronJobStatus(c, old *batchv1.CronJob) {
	c.Spec = old.Spec
	c.Generation = old.Generation
}
