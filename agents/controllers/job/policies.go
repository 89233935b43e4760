package job

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// verdict is what a job's podFailurePolicy says of a failed pod.
type verdict struct {
	// failJob is why the whole job fails; "": it does not.
	failJob string
	// ignored tells that the failure does not count towards the back-off limits.
	ignored bool
	// failIndex tells that the pod's index fails without further pods.
	failIndex bool
}

// judge is the verdict of the first rule that matches a failed pod; the zero one where none does.
func judge(policy *batchv1.PodFailurePolicy, p *corev1.Pod) verdict {
	if policy == nil {
		return verdict{}
	}
	for i, rule := range policy.Rules {
		text, matches := matchRule(&rule, p)
		if !matches {
			continue
		}
		switch rule.Action {
		case batchv1.PodFailurePolicyActionIgnore:
			return verdict{ignored: true}
		case batchv1.PodFailurePolicyActionFailIndex:
			return verdict{failIndex: true}
		case batchv1.PodFailurePolicyActionCount:
			return verdict{}
		case batchv1.PodFailurePolicyActionFailJob:
			return verdict{failJob: fmt.Sprintf("%s matching %s rule at index %d", text, rule.Action, i)}
		}
	}
	return verdict{}
}

// matchRule returns whether a rule matches a failed pod, and what of the pod it is.
func matchRule(rule *batchv1.PodFailurePolicyRule, p *corev1.Pod) (text string, matches bool) {
	if rule.OnExitCodes != nil {
		for _, s := range slices.Concat(p.Status.ContainerStatuses, p.Status.InitContainerStatuses) {
			if matchesExitCode(rule.OnExitCodes, &s) {
				return fmt.Sprintf("Container %s for pod %s/%s failed with exit code %d", s.Name, p.Namespace, p.Name, s.State.Terminated.ExitCode), true
			}
		}
		return "", false
	}
	for _, c := range p.Status.Conditions {
		for _, want := range rule.OnPodConditions {
			if c.Type == want.Type && c.Status == want.Status {
				return fmt.Sprintf("Pod %s/%s has condition %s", p.Namespace, p.Name, c.Type), true
			}
		}
	}
	return "", false
}

// matchesExitCode returns whether a container has ended with an exit code that is wanted. 0 is none.
func matchesExitCode(want *batchv1.PodFailurePolicyOnExitCodesRequirement, s *corev1.ContainerStatus) bool {
	if s.State.Terminated == nil || s.State.Terminated.ExitCode == 0 || want.ContainerName != nil && *want.ContainerName != s.Name {
		return false
	}
	listed := slices.Contains(want.Values, s.State.Terminated.ExitCode)
	switch want.Operator {
	case batchv1.PodFailurePolicyOnExitCodesOpIn:
		return listed
	case batchv1.PodFailurePolicyOnExitCodesOpNotIn:
		return !listed
	}
	return false
}

// successRule is the first rule of a success policy that the succeeded indexes meet; -1: none.
func successRule(policy *batchv1.SuccessPolicy, completions int, succeeded indexes) int {
	if policy == nil || len(succeeded) == 0 {
		return -1
	}
	for i, rule := range policy.Rules {
		if rule.SucceededIndexes == nil {
			if rule.SucceededCount != nil && succeeded.count() >= int(*rule.SucceededCount) {
				return i
			}
			continue
		}
		wanted := parseIndexes(*rule.SucceededIndexes, completions)
		if len(wanted) == 0 {
			continue
		}
		got := succeeded.shared(wanted)
		if got == wanted.count() || rule.SucceededCount != nil && got >= int(*rule.SucceededCount) {
			return i
		}
	}
	return -1
}
