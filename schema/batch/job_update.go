package batch

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// validateJobUpdate checks that
//   - the job is valid; errors of its spec are reported twice, as Kubernetes does it
//   - completions change with parallelism only, and those of a job without indexes do not
//   - selector, template, completionMode, podFailurePolicy, backoffLimitPerIndex, managedBy and successPolicy stay as they are, but for
//     what the template of a suspended job may change (checkTemplateUpdate).
func validateJobUpdate(j, old *batchv1.Job) field.ErrorList {
	_, hadName := old.Spec.Template.Labels[batchv1.JobNameLabel]
	_, hadUID := old.Spec.Template.Labels[batchv1.ControllerUidLabel]
	rules := jobRules{
		domainLabels:  hadName && hadUID,
		invalidValues: metavalidation.LabelSelectorHasInvalidLabelValue(old.Spec.Selector),
	}
	f := checkJob(j, rules)
	if len(f.List) > 0 {
		checkSelectedSpec(f, &j.Spec, rules)
	}
	is, was, p := &j.Spec, &old.Spec, specPath
	checkCompletionsUpdate(f, is, was, p.Child("completions"))
	f.Same(p.Child("selector"), is.Selector, was.Selector)
	checkTemplateUpdate(f, j, old, p)
	f.Same(p.Child("completionMode"), is.CompletionMode, was.CompletionMode)
	f.Same(p.Child("podFailurePolicy"), is.PodFailurePolicy, was.PodFailurePolicy)
	f.Same(p.Child("backoffLimitPerIndex"), is.BackoffLimitPerIndex, was.BackoffLimitPerIndex)
	f.Same(p.Child("managedBy"), is.ManagedBy, was.ManagedBy)
	f.Same(p.Child("successPolicy"), is.SuccessPolicy, was.SuccessPolicy)
	return f.List
}

func checkCompletionsUpdate(f *check.Errors, spec, old *batchv1.JobSpec, p *field.Path) {
	if !isIndexed(spec) {
		f.Same(p, spec.Completions, old.Completions)
		return
	}
	n, parallelism := spec.Completions, spec.Parallelism
	if n == nil || equality.Semantic.DeepEqual(n, old.Completions) {
		return
	}
	if parallelism == nil || *n != *parallelism {
		f.Invalid(p, n, "can only be modified in tandem with spec.parallelism")
	}
}

// mayChangeTemplate tells whether pods of another template would be the first: the job is suspended, has no pods, and either never
// had any or says in its conditions that it is suspended.
func mayChangeTemplate(j *batchv1.Job) bool {
	suspended := j.Spec.Suspend != nil && *j.Spec.Suspend
	return suspended && j.Status.Active == 0 && (j.Status.StartTime == nil || isTrue(j, batchv1.JobSuspended))
}

// checkTemplateUpdate checks that nothing of the template changes but, where mayChangeTemplate of the old job, labels, annotations,
// node affinity, node selector, tolerations, scheduling gates and the resources of containers.
func checkTemplateUpdate(f *check.Errors, j, old *batchv1.Job, p *field.Path) {
	t := &j.Spec.Template
	if !mayChangeTemplate(old) {
		f.Same(p.Child("template"), t, &old.Spec.Template)
		return
	}
	was := old.Spec.Template.Spec.DeepCopy()
	was.Affinity = withNodeAffinity(was.Affinity, t.Spec.Affinity)
	was.NodeSelector, was.Tolerations, was.SchedulingGates = t.Spec.NodeSelector, t.Spec.Tolerations, t.Spec.SchedulingGates
	copyResources(was.Containers, t.Spec.Containers)
	copyResources(was.InitContainers, t.Spec.InitContainers)
	f.Same(p.Child("template", "spec"), t.Spec, *was)
}

// withNodeAffinity is an affinity with another's node affinity; a is changed.
func withNodeAffinity(a, from *corev1.Affinity) *corev1.Affinity {
	switch {
	case a == nil && from == nil:
		return nil
	case a == nil:
		return &corev1.Affinity{NodeAffinity: from.NodeAffinity}
	case from != nil:
		a.NodeAffinity = from.NodeAffinity
		return a
	}
	if a.NodeAffinity = nil; *a == (corev1.Affinity{}) {
		return nil
	}
	return a
}

// copyResources gives containers the resources of those in the same place with the same name.
func copyResources(to, from []corev1.Container) {
	if len(to) != len(from) {
		return
	}
	for i := range to {
		if to[i].Name == from[i].Name {
			to[i].Resources = from[i].Resources
		}
	}
}
