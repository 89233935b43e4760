package batch

import (
	"math"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
	"gantry/schema/core"
)

// Job is the kind of jobs.
var Job = &schema.Kind{
	Version: schema.Version{
		Group: "batch", Version: "v1", Kind: "Job",
		New:     func() schema.Object { return &batchv1.Job{} },
		NewList: func() runtime.Object { return &batchv1.JobList{} },
		Columns: jobColumns, Row: jobRow,
		Default:      schema.Preparation(defaultJob),
		UnknownField: "field label %q not supported for Job",
		Fields: []schema.Field{
			schema.FieldOf("status.successful", func(j *batchv1.Job) string { return strconv.Itoa(int(j.Status.Succeeded)) }),
		},
	},
	Plural: "jobs", Singular: "job", Categories: []string{"all"},
	UpdateMeta: schema.MetaOfCreateFirst,
	Namespaced: true,
	Prefix:     "jobs",

	Subresources:        []schema.Subresource{schema.Status(prepareJobStatus, validateJobStatus)},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	OrphansDependents: true,
	OrphanWarning: "child pods are preserved by default when jobs are deleted; " +
		"set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",

	PrepareCreate:  schema.Preparation(prepareJobCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareJobUpdate),
	Bound:          schema.Validation(boundJob),
	Validate:       schema.Validation(validateJob),
	ValidateUpdate: schema.UpdateValidation(validateJobUpdate),
	Warnings:       schema.Warnings(jobWarnings),
}

func defaultJob(j *batchv1.Job) {
	spec := &j.Spec
	if spec.Completions == nil && spec.Parallelism == nil {
		core.SetIfNil(&spec.Completions, 1)
	}
	core.SetIfNil(&spec.Parallelism, 1)
	if spec.BackoffLimitPerIndex != nil {
		core.SetIfNil(&spec.BackoffLimit, math.MaxInt32)
	}
	core.SetIfNil(&spec.BackoffLimit, 6)
	if len(j.Labels) == 0 && spec.Template.Labels != nil {
		j.Labels = spec.Template.Labels // one map: it gets the generated labels as well, see addLabels
	}
	core.SetIfNil(&spec.CompletionMode, batchv1.NonIndexedCompletion)
	core.SetIfNil(&spec.Suspend, false)
	if spec.PodFailurePolicy != nil {
		core.SetIfNil(&spec.PodReplacementPolicy, batchv1.Failed)
	}
	core.SetIfNil(&spec.PodReplacementPolicy, batchv1.TerminatingOrFailed)
	core.SetIfNil(&spec.ManualSelector, false)
	defaultJobPods(spec)
}

// defaultJobPods fills what is filled in the template of a cron job as well.
func defaultJobPods(spec *batchv1.JobSpec) {
	if policy := spec.PodFailurePolicy; policy != nil {
		for i := range policy.Rules {
			for j := range policy.Rules[i].OnPodConditions {
				if c := &policy.Rules[i].OnPodConditions[j]; c.Status == "" {
					c.Status = corev1.ConditionTrue
				}
			}
		}
	}
	core.DefaultPodSpec(&spec.Template.Spec)
}

func prepareJobCreate(j *batchv1.Job) {
	if manual := j.Spec.ManualSelector; manual == nil || !*manual {
		addLabels(j)
		addSelector(j)
	}
	if len(j.Labels) == 0 {
		j.Labels = j.Spec.Template.Labels
	}
	j.Status = batchv1.JobStatus{}
	j.Generation = 1
	core.DropOff(&j.Spec.Template.Spec, nil)
}

// The labels that select the pods of a job, and their names before they had a domain.
const (
	oldNameLabel = "job-name"
	oldUIDLabel  = "controller-uid"
)

// addLabels gives the template the labels that select the job's pods. One that is there stays: validation refuses another value.
func addLabels(j *batchv1.Job) {
	t := &j.Spec.Template
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	for _, l := range [...]struct{ key, value string }{
		{oldNameLabel, j.Name}, {batchv1.JobNameLabel, j.Name},
		{oldUIDLabel, string(j.UID)}, {batchv1.ControllerUidLabel, string(j.UID)},
	} {
		if _, there := t.Labels[l.key]; !there {
			t.Labels[l.key] = l.value
		}
	}
}

func addSelector(j *batchv1.Job) {
	core.SetIfNil(&j.Spec.Selector, metav1.LabelSelector{})
	s := j.Spec.Selector
	if s.MatchLabels == nil {
		s.MatchLabels = map[string]string{}
	}
	if _, there := s.MatchLabels[batchv1.ControllerUidLabel]; !there {
		s.MatchLabels[batchv1.ControllerUidLabel] = string(j.UID)
	}
}

func prepareJobUpdate(j, old *batchv1.Job) {
	j.Status = old.Status
	core.DropOff(&j.Spec.Template.Spec, &old.Spec.Template.Spec)
	j.Generation = old.Generation
	if !equality.Semantic.DeepEqual(j.Spec, old.Spec) {
		j.Generation++
	}
}

func prepareJobStatus(j, old *batchv1.Job) {
	j.Spec = old.Spec
	j.Generation = old.Generation
}
