package admit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podsecurity "k8s.io/pod-security-admission/admission/api"
	"k8s.io/pod-security-admission/admission/api/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"gantry/schema"
)

// The checks are those of k8s.io/pod-security-admission: https://kubernetes.io/docs/concepts/security/pod-security-standards/. Which of them
// count for a namespace is in its labels pod-security.kubernetes.io/enforce, audit and warn; without them, in the configuration's defaults.

const podSecurityDomain = "pod-security.kubernetes.io/"

// PodSecurity is the rule with a configuration; nil: namespaces without labels are privileged, and nobody is exempt.
func PodSecurity(c *podsecurity.PodSecurityConfiguration) (Rule, error) {
	s := podSecurity{defaults: privileged}
	if c != nil {
		if errs := validation.ValidatePodSecurityConfiguration(c); len(errs) > 0 {
			return Rule{}, errs.ToAggregate()
		}
		var err error
		if s.defaults, err = podsecurity.ToPolicy(c.Defaults); err != nil {
			return Rule{}, err
		}
		s.exempt = c.Exemptions
	}
	return Rule{
		Name: "PodSecurity", Doc: "pods keep to the security standards that their namespace's labels enforce",
		Wants: wantsPodSecurity, Validate: s.check,
	}, nil
}

// podSecurity is the rule's configuration.
type podSecurity struct {
	defaults api.Policy // of a namespace without labels
	exempt   podsecurity.PodSecurityExemptions
}

var (
	privileged = api.Policy{Enforce: privilegedLevel, Audit: privilegedLevel, Warn: privilegedLevel}
	podChecks  = newPodChecks()

	privilegedLevel = api.LevelVersion{Level: api.LevelPrivileged, Version: api.LatestVersion()}
)

func newPodChecks() policy.Evaluator {
	e, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		panic(err) // the library's own checks are valid
	}
	return e
}

// wantsPodSecurity tells whether the rule concerns a request: pods and what else can change their containers, the templates of pods, and namespaces.
func wantsPodSecurity(o Operation, k *schema.Kind, subresource string) bool {
	if o != Create && o != Update {
		return false
	}
	switch k.Group + "/" + k.Plural {
	case "/pods":
		return subresource == "" || subresource == "ephemeralcontainers" || subresource == "resize"
	case "/namespaces", "/replicationcontrollers", "/podtemplates", "apps/replicasets", "apps/deployments", "apps/statefulsets", "apps/daemonsets",
		"batch/jobs", "batch/cronjobs":
		return subresource == ""
	}
	return false
}

// check refuses pods that violate what their namespace enforces, and warns of pods and templates that violate what it warns of.
func (s *podSecurity) check(ctx context.Context, read Reader, q *Request) error {
	if ns, ok := q.Object.(*corev1.Namespace); ok {
		return s.checkLabels(ctx, read, q, ns)
	}
	if s.isExempt(q) {
		return nil
	}
	switch obj := q.Object.(type) {
	case *corev1.Pod:
		if old, ok := q.Old.(*corev1.Pod); ok && !changesImages(&obj.Spec, &old.Spec) {
			return nil
		}
		return s.checkPod(ctx, read, q, &obj.ObjectMeta, &obj.Spec, true)
	}
	if t := podTemplate(q.Object); t != nil {
		return s.checkPod(ctx, read, q, &t.ObjectMeta, &t.Spec, false)
	}
	return nil
}

// isExempt tells whether the configuration exempts the request's namespace or user, which the audit is told.
func (s *podSecurity) isExempt(q *Request) bool {
	switch {
	case slices.Contains(s.exempt.Namespaces, q.Namespace):
		q.Annotate(podSecurityDomain+api.ExemptionReasonAnnotationKey, "namespace")
	case slices.Contains(s.exempt.Usernames, q.User.Username):
		q.Annotate(podSecurityDomain+api.ExemptionReasonAnnotationKey, "user")
	default:
		return false
	}
	return true
}

// exemptsClass tells whether the configuration exempts the pods of a runtime class.
func (s *podSecurity) exemptsClass(spec *corev1.PodSpec) bool {
	return spec.RuntimeClassName != nil && slices.Contains(s.exempt.RuntimeClasses, *spec.RuntimeClassName)
}

// podTemplate is the template of an object that makes pods; nil: it has none.
func podTemplate(obj schema.Object) *corev1.PodTemplateSpec {
	switch o := obj.(type) {
	case *corev1.PodTemplate:
		return &o.Template
	case *corev1.ReplicationController:
		return o.Spec.Template
	case *appsv1.ReplicaSet:
		return &o.Spec.Template
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.DaemonSet:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *batchv1.Job:
		return &o.Spec.Template
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	}
	return nil
}

// checkPod checks a pod, or a template, which is never refused.
func (s *podSecurity) checkPod(ctx context.Context, read Reader, q *Request, meta *metav1.ObjectMeta, spec *corev1.PodSpec, enforce bool) error {
	if s.exemptsClass(spec) {
		q.Annotate(podSecurityDomain+api.ExemptionReasonAnnotationKey, "runtimeClass")
		return nil
	}
	found, err := read.Find(ctx, "", "namespaces", "", q.Namespace)
	if err != nil {
		return fmt.Errorf("looking up namespace %s: %w", q.Namespace, err)
	}
	wanted, faults := s.defaults, field.ErrorList(nil)
	if found.Object != nil {
		wanted, faults = api.PolicyToEvaluate(found.Object.GetLabels(), s.defaults)
	}
	if enforce {
		q.Annotate(podSecurityDomain+api.EnforcedPolicyAnnotationKey, wanted.Enforce.String())
	}
	if wanted.FullyPrivileged() && len(faults) == 0 {
		return nil
	}
	if err := faults.ToAggregate(); err != nil {
		q.Annotate(podSecurityDomain+"error", fmt.Sprintf("Failed to parse policy: %v", err))
	}
	violations := func(lv api.LevelVersion) policy.AggregateCheckResult {
		return policy.AggregateCheckResults(podChecks.EvaluatePod(lv, meta, spec))
	}
	if r := violations(wanted.Audit); !r.Allowed {
		q.Annotate(podSecurityDomain+api.AuditViolationsAnnotationKey, fmt.Sprintf("would violate PodSecurity %q: %s", wanted.Audit.String(), r.ForbiddenDetail()))
	}
	if enforce {
		if r := violations(wanted.Enforce); !r.Allowed {
			return denied("violates PodSecurity %q: %s", wanted.Enforce.String(), r.ForbiddenDetail())
		}
	}
	if r := violations(wanted.Warn); !r.Allowed {
		q.Warn(fmt.Sprintf("would violate PodSecurity %q: %s", wanted.Warn.String(), r.ForbiddenDetail()))
	}
	return nil
}

// changesImages tells whether an update of a pod adds containers or changes their images. Nothing else of what is checked can change.
func changesImages(spec, old *corev1.PodSpec) bool {
	changed := func(a, b []corev1.Container) bool {
		return !slices.EqualFunc(a, b, func(x, y corev1.Container) bool { return x.Image == y.Image })
	}
	return changed(spec.Containers, old.Containers) || changed(spec.InitContainers, old.InitContainers) ||
		slices.ContainsFunc(spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool {
			return !slices.ContainsFunc(old.EphemeralContainers, func(o corev1.EphemeralContainer) bool { return o.Name == c.Name && o.Image == c.Image })
		})
}

// checkLabels refuses labels of a namespace that are no policy, unless they were there before, and warns of the pods that violate what an update
// makes it enforce, and of labels that an exemption leaves without effect.
func (s *podSecurity) checkLabels(ctx context.Context, read Reader, q *Request, ns *corev1.Namespace) error {
	wanted, errs := api.PolicyToEvaluate(ns.Labels, s.defaults)
	old, ok := q.Old.(*corev1.Namespace)
	if !ok {
		if len(errs) == 0 {
			s.warnExempt(q, ns, wanted)
		}
		return invalidLabels(errs)
	}
	before, oldErrs := api.PolicyToEvaluate(old.Labels, s.defaults)
	if len(errs) > 0 && errs.ToAggregate().Error() != fmt.Sprint(oldErrs.ToAggregate()) {
		return invalidLabels(errs)
	}
	switch {
	case wanted.Enforce == before.Enforce, wanted.Enforce.Level == api.LevelPrivileged,
		wanted.Enforce.Version == before.Enforce.Version && api.CompareLevels(wanted.Enforce.Level, before.Enforce.Level) < 1:
		return nil
	case s.warnExempt(q, ns, wanted):
		return nil
	}
	list, err := read.List(ctx, "", "pods", ns.Name)
	if err != nil {
		q.Warn("failed to list pods while checking new PodSecurity enforce level")
		return nil
	}
	for _, text := range violatingPods(ctx, ns.Name, wanted.Enforce, slices.DeleteFunc(list, func(obj schema.Object) bool { return s.exemptsClass(&obj.(*corev1.Pod).Spec) })) {
		q.Warn(text)
	}
	return nil
}

// warnExempt tells whether a namespace is exempt, and warns of the levels that its labels ask for in vain.
func (s *podSecurity) warnExempt(q *Request, ns *corev1.Namespace, wanted api.Policy) bool {
	if !slices.Contains(s.exempt.Namespaces, ns.Name) {
		return false
	}
	if wanted.FullyPrivileged() || wanted.Equivalent(&s.defaults) {
		return true
	}
	var levels []string
	for _, l := range []struct {
		mode, label, version string
		is                   api.LevelVersion
	}{
		{"enforce", api.EnforceLevelLabel, api.EnforceVersionLabel, wanted.Enforce},
		{"audit", api.AuditLevelLabel, api.AuditVersionLabel, wanted.Audit},
		{"warn", api.WarnLevelLabel, api.WarnVersionLabel, wanted.Warn},
	} {
		_, level := ns.Labels[l.label]
		_, version := ns.Labels[l.version]
		if l.is.Level != api.LevelPrivileged && (level || version) {
			levels = append(levels, l.mode+"="+l.is.String())
		}
	}
	q.Warn(fmt.Sprintf("namespace %q is exempt from Pod Security, and the policy (%s) will be ignored", ns.Name, strings.Join(levels, ", ")))
	return true
}

func invalidLabels(errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return &Invalid{Errs: errs}
}

// How many pods of a namespace are checked when its policy changes, and for how long.
const (
	mostPodsChecked = 3000
	podCheckTime    = time.Second
)

// violatingPods are warnings about the pods of a namespace that violate a policy: a line for each set of reasons, with the first of the pods. One pod of
// each controller is checked before the others of it.
func violatingPods(ctx context.Context, namespace string, enforce api.LevelVersion, list []schema.Object) (warnings []string) {
	ctx, cancel := context.WithTimeout(ctx, podCheckTime)
	defer cancel()
	ordered := firstOfControllers(list)
	names := map[string][]string{} // of pods, by what they violate
	checked := 0
	for _, obj := range ordered[:min(len(ordered), mostPodsChecked)] {
		pod := obj.(*corev1.Pod)
		if r := policy.AggregateCheckResults(podChecks.EvaluatePod(enforce, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
			names[r.ForbiddenReason()] = append(names[r.ForbiddenReason()], pod.Name)
		}
		checked++
		if ctx.Err() != nil {
			break
		}
	}
	if checked < len(ordered) {
		warnings = append(warnings, fmt.Sprintf("new PodSecurity enforce level only checked against the first %d of %d existing pods", checked, len(ordered)))
	}
	if len(names) > 0 {
		warnings = append(warnings, fmt.Sprintf("existing pods in namespace %q violate the new PodSecurity enforce level %q", namespace, enforce.String()))
	}
	var lines []string
	for reason, pods := range names {
		others := ""
		switch n := len(pods) - 1; n {
		case 0:
		case 1:
			others = " (and 1 other pod)"
		default:
			others = fmt.Sprintf(" (and %d other pods)", n)
		}
		lines = append(lines, fmt.Sprintf("%s%s: %s", slices.Min(pods), others, reason))
	}
	slices.Sort(lines)
	return append(warnings, lines...)
}

// firstOfControllers is list with the pods at its end whose controller has one before.
func firstOfControllers(list []schema.Object) []schema.Object {
	var first, others []schema.Object
	seen := map[types.UID]bool{}
	for _, obj := range list {
		ref := metav1.GetControllerOfNoCopy(obj)
		if ref != nil && seen[ref.UID] {
			others = append(others, obj)
			continue
		}
		if ref != nil {
			seen[ref.UID] = true
		}
		first = append(first, obj)
	}
	return append(first, others...)
}
