package pods

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// maxMerged is up to how many tolerations are compared with each other.
const maxMerged = 1000

// MergeTolerations is first and second without those that tolerate nothing more than another does; of equal ones the first stays. More
// than maxMerged stay as they are. Upstream: k8s.io/kubernetes/pkg/util/tolerations.MergeTolerations.
func MergeTolerations(first, second []corev1.Toleration) []corev1.Toleration {
	all := append(first[:len(first):len(first)], second...)
	if len(all) > maxMerged {
		return all
	}
	var merged []corev1.Toleration
next:
	for i := range all {
		t := &all[i]
		for j := range merged {
			if includes(&merged[j], t) {
				continue next
			}
		}
		for j := i + 1; j < len(all); j++ {
			if !equality.Semantic.DeepEqual(t, &all[j]) && includes(&all[j], t) {
				continue next
			}
		}
		merged = append(merged, *t)
	}
	return merged
}

// AllIncluded tells whether each toleration tolerates nothing more than one of allowed does. Upstream:
// k8s.io/kubernetes/pkg/util/tolerations.VerifyAgainstWhitelist.
func AllIncluded(tolerations, allowed []corev1.Toleration) bool {
next:
	for i := range tolerations {
		for j := range allowed {
			if includes(&allowed[j], &tolerations[i]) {
				continue next
			}
		}
		return false
	}
	return true
}

// includes tells whether whatever t tolerates, all tolerates too, as long.
func includes(all, t *corev1.Toleration) bool {
	switch {
	case equality.Semantic.DeepEqual(t, all):
		return true
	case t.Key != all.Key && (all.Key != "" || all.Operator != corev1.TolerationOpExists):
		return false
	case t.Effect != all.Effect && all.Effect != "":
		return false
	case all.Effect == corev1.TaintEffectNoExecute && all.TolerationSeconds != nil &&
		(t.TolerationSeconds == nil || *t.TolerationSeconds > *all.TolerationSeconds):
		return false
	}
	switch all.Operator {
	case corev1.TolerationOpEqual, "":
		return t.Operator == corev1.TolerationOpEqual && t.Value == all.Value
	case corev1.TolerationOpExists:
		return true
	}
	return false
}
