package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

// The limits of an indexed job: its status lists the indexes.
const (
	maxParallelism   = 100_000
	maxFailedIndexes = 100_000
	// Above manyCompletions, with a limit of failures per index, the others are smaller.
	manyCompletions      = 100_000
	maxParallelismOfMany = 10_000
	maxFailedOfMany      = 10_000

	maxManagedBy = 63 // bytes
)

var specPath = field.NewPath("spec")

func validateJob(j *batchv1.Job) field.ErrorList {
	return checkJob(j, jobRules{domainLabels: true}).List
}

// jobRules are what an update allows that was there before.
type jobRules struct {
	domainLabels  bool // the generated labels with a domain must be there
	invalidValues bool // the selector may have values that are none of a label
}

// checkJob checks that
//   - what is generated for the selector is there, unless the job has a selector of its own
//   - the spec is valid and its selector selects the template's pods
//   - the name leaves room for the index in the pods' host names.
func checkJob(j *batchv1.Job, rules jobRules) *check.Errors {
	var f check.Errors
	checkGenerated(&f, j, rules.domainLabels)
	checkSelectedSpec(&f, &j.Spec, rules)
	if n := j.Spec.Completions; isIndexed(&j.Spec) && n != nil && *n > 0 {
		host := fmt.Sprintf("%s-%d", j.Name, *n-1)
		if !check.IsLabel(host) {
			f.Invalid(field.NewPath("metadata", "name"), j.Name, "will not able to create pod with invalid DNS label: "+host)
		}
	}
	return &f
}

func checkGenerated(f *check.Errors, j *batchv1.Job, domainLabels bool) {
	if m := j.Spec.ManualSelector; m != nil && *m || j.Spec.Selector == nil {
		return
	}
	if j.UID == "" {
		f.Required(field.NewPath("metadata", "uid"), "")
	}
	generated := labels.Set{oldUIDLabel: string(j.UID), oldNameLabel: j.Name}
	at := specPath.Child("template", "metadata")
	checkHasLabel(f, &j.Spec.Template, at, oldUIDLabel, string(j.UID))
	checkHasLabel(f, &j.Spec.Template, at, oldNameLabel, j.Name)
	if domainLabels {
		checkHasLabel(f, &j.Spec.Template, at, batchv1.ControllerUidLabel, string(j.UID))
		checkHasLabel(f, &j.Spec.Template, at, batchv1.JobNameLabel, j.Name)
		generated[batchv1.ControllerUidLabel], generated[batchv1.JobNameLabel] = string(j.UID), j.Name
	}
	if s, err := metav1.LabelSelectorAsSelector(j.Spec.Selector); err == nil && !s.Matches(generated) {
		f.Invalid(specPath.Child("selector"), j.Spec.Selector, "`selector` not auto-generated")
	}
}

func checkHasLabel(f *check.Errors, t *corev1.PodTemplateSpec, meta *field.Path, key, want string) {
	at, must := meta.Child("labels").Key(key), fmt.Sprintf("must be '%s'", want)
	if is, there := t.Labels[key]; !there {
		f.Required(at, must)
	} else if is != want {
		f.Invalid(at, t.Labels, must)
	}
}

// checkSelectedSpec checks the spec of a job with its selector; the template of a cron job has none.
func checkSelectedSpec(f *check.Errors, spec *batchv1.JobSpec, rules jobRules) {
	checkSpec(f, spec, specPath)
	at := specPath.Child("selector")
	if spec.Selector == nil {
		f.Required(at, "")
	} else {
		o := metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: rules.invalidValues}
		f.Add(metavalidation.ValidateLabelSelector(spec.Selector, o, at)...)
	}
	if s, err := metav1.LabelSelectorAsSelector(spec.Selector); err == nil && !s.Matches(labels.Set(spec.Template.Labels)) {
		f.Invalid(specPath.Child("template", "metadata", "labels"), spec.Template.Labels, "`selector` does not match template `labels`")
	}
}

func isIndexed(spec *batchv1.JobSpec) bool {
	return spec.CompletionMode != nil && *spec.CompletionMode == batchv1.IndexedCompletion
}

func checkSpec(f *check.Errors, spec *batchv1.JobSpec, p *field.Path) {
	checkNumbers(f, spec, p)
	if m := spec.ManagedBy; m != nil {
		at := p.Child("managedBy")
		f.Add(validation.IsDomainPrefixedPath(at, *m)...)
		if len(*m) > maxManagedBy {
			f.Add(field.TooLong(at, "", maxManagedBy))
		}
	}
	checkCompletionMode(f, spec, p)
	if spec.PodFailurePolicy != nil {
		checkFailurePolicy(f, spec, p.Child("podFailurePolicy"))
	}
	if s := spec.SuccessPolicy; s != nil {
		if at := p.Child("successPolicy"); !isIndexed(spec) {
			f.Invalid(at, check.Quoted(*s), "requires indexed completion mode")
		} else {
			checkSuccessPolicy(f, spec, at)
		}
	}
	checkReplacementPolicy(f, spec, p.Child("podReplacementPolicy"))
	template := p.Child("template")
	f.Add(core.ValidatePodTemplate(&spec.Template, template)...)
	checkRestartPolicy(f, spec, template.Child("spec", "restartPolicy"))
}

func checkNumbers(f *check.Errors, spec *batchv1.JobSpec, p *field.Path) {
	for _, n := range []struct {
		name string
		n    *int32
	}{{"parallelism", spec.Parallelism}, {"completions", spec.Completions}} {
		notNegative(f, n.n, p, n.name)
	}
	if n := spec.ActiveDeadlineSeconds; n != nil {
		f.NotNegative(p.Child("activeDeadlineSeconds"), *n)
	}
	notNegative(f, spec.BackoffLimit, p, "backoffLimit")
	notNegative(f, spec.TTLSecondsAfterFinished, p, "ttlSecondsAfterFinished")
	notNegative(f, spec.BackoffLimitPerIndex, p, "backoffLimitPerIndex")
	notNegative(f, spec.MaxFailedIndexes, p, "maxFailedIndexes")
	if spec.MaxFailedIndexes != nil && spec.BackoffLimitPerIndex == nil {
		f.Required(p.Child("backoffLimitPerIndex"), "when maxFailedIndexes is specified")
	}
}

func notNegative(f *check.Errors, n *int32, p *field.Path, name string) {
	if n != nil {
		f.NotNegative(p.Child(name), int64(*n))
	}
}

func checkCompletionMode(f *check.Errors, spec *batchv1.JobSpec, p *field.Path) {
	mode := spec.CompletionMode
	if mode != nil {
		check.OneOf(f, p.Child("completionMode"), *mode, batchv1.NonIndexedCompletion, batchv1.IndexedCompletion)
	}
	if isIndexed(spec) {
		checkIndexed(f, spec, p)
	}
	if mode != nil && *mode != batchv1.NonIndexedCompletion {
		return
	}
	for _, n := range []struct {
		name string
		n    *int32
	}{{"backoffLimitPerIndex", spec.BackoffLimitPerIndex}, {"maxFailedIndexes", spec.MaxFailedIndexes}} {
		if n.n != nil {
			f.Invalid(p.Child(n.name), *n.n, "requires indexed completion mode")
		}
	}
}

func checkIndexed(f *check.Errors, spec *batchv1.JobSpec, p *field.Path) {
	completions, failed := spec.Completions, spec.MaxFailedIndexes
	atMost := func(name string, n *int32, most int32, when string) {
		if n != nil && *n > most {
			f.Invalid(p.Child(name), *n, fmt.Sprintf("must be less than or equal to %d%s", most, when))
		}
	}
	if completions == nil {
		f.Required(p.Child("completions"), "when completion mode is Indexed")
	}
	atMost("parallelism", spec.Parallelism, maxParallelism, " when completion mode is Indexed")
	if completions != nil && failed != nil && *failed > *completions {
		f.Invalid(p.Child("maxFailedIndexes"), *failed, "must be less than or equal to completions")
	}
	atMost("maxFailedIndexes", failed, maxFailedIndexes, "")
	if completions == nil || *completions <= manyCompletions || spec.BackoffLimitPerIndex == nil {
		return
	}
	if failed == nil {
		f.Required(p.Child("maxFailedIndexes"), fmt.Sprintf("must be specified when completions is above %d", manyCompletions))
	}
	when := fmt.Sprintf(" when completions are above %d and used with backoff limit per index", manyCompletions)
	atMost("parallelism", spec.Parallelism, maxParallelismOfMany, when)
	atMost("maxFailedIndexes", failed, maxFailedOfMany, when)
}

func checkReplacementPolicy(f *check.Errors, spec *batchv1.JobSpec, p *field.Path) {
	switch policy := spec.PodReplacementPolicy; {
	case policy == nil:
	case spec.PodFailurePolicy != nil:
		check.OneOf(f, p, *policy, batchv1.Failed)
	default:
		check.OneOf(f, p, *policy, batchv1.Failed, batchv1.TerminatingOrFailed)
	}
}

func checkRestartPolicy(f *check.Errors, spec *batchv1.JobSpec, p *field.Path) {
	const onFailure, never = corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever
	switch policy := spec.Template.Spec.RestartPolicy; {
	case policy == corev1.RestartPolicyAlways, policy == "":
		f.Required(p, fmt.Sprintf("valid values: %q, %q", onFailure, never))
	case policy != onFailure && policy != never:
		check.OneOf(f, p, policy, onFailure, never)
	case spec.PodFailurePolicy != nil && policy != never:
		f.Invalid(p, policy, fmt.Sprintf("only %q is supported when podFailurePolicy is specified", never))
	}
}

func jobWarnings(j, old *batchv1.Job) []string {
	if old != nil {
		if j.Generation == old.Generation {
			return nil
		}
		return specWarnings(&j.Spec, specPath)
	}
	return append(core.NameWarnings(j.Name), specWarnings(&j.Spec, specPath)...)
}

func specWarnings(spec *batchv1.JobSpec, p *field.Path) (w []string) {
	if n, m := spec.Completions, spec.Parallelism; isIndexed(spec) && n != nil && m != nil && *n > manyCompletions && *m > maxParallelismOfMany {
		w = append(w, fmt.Sprintf("%s: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail", p))
	}
	return append(w, core.PodWarnings(&spec.Template.ObjectMeta, &spec.Template.Spec, p.Child("template"))...)
}

func boundJob(j *batchv1.Job) field.ErrorList {
	return core.BoundPodSpec(&j.Spec.Template.Spec, specPath.Child("template", "spec"))
}
