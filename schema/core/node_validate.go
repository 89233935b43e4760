package core

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"gantry/schema/internal/check"
)

const taintsAnnotation = "scheduler.alpha.kubernetes.io/taints"

func validateNode(node *corev1.Node) field.ErrorList {
	var f check.Errors
	checkNode(&f, node)
	return f.List
}

func validateNodeUpdate(node, old *corev1.Node) field.ErrorList {
	return append(validateNode(node), validateNodeStatus(node, old)...) // Kubernetes lists what both check twice
}

func validateNodeStatus(node, old *corev1.Node) field.ErrorList {
	var f check.Errors
	checkTaintsAnnotation(&f, node)
	checkResources(&f, &node.Status)
	checkFeatures(&f, node.Status.DeclaredFeatures, field.NewPath("status", "declaredFeatures"))
	checkNodeUpdate(&f, node, old)
	return f.List
}

func checkNode(f *check.Errors, node *corev1.Node) {
	checkTaintsAnnotation(f, node)
	checkTaints(f, node.Spec.Taints, taintsPath)
	checkResources(f, &node.Status)
	meta, status := field.NewPath("metadata"), field.NewPath("status")
	if swap := node.Status.NodeInfo.Swap; swap != nil && swap.Capacity != nil {
		f.Positive(meta.Child("nodeSwapStatus", "capacity"), *swap.Capacity)
	}
	checkFeatures(f, node.Status.DeclaredFeatures, status.Child("declaredFeatures"))
	checkPodCIDRs(f, node.Spec.PodCIDRs, field.NewPath("spec", "podCIDRs"))
}

// taintsPath is where Kubernetes says the taints are.
var taintsPath = field.NewPath("metadata", "taints")

func checkTaintsAnnotation(f *check.Errors, node *corev1.Node) {
	text := node.Annotations[taintsAnnotation]
	if text == "" {
		return
	}
	path := field.NewPath("metadata", "annotations")
	var taints []corev1.Taint
	if err := json.Unmarshal([]byte(text), &taints); err != nil {
		f.Invalid(path, taintsAnnotation, err.Error())
	}
	checkTaints(f, taints, path.Child(taintsAnnotation))
}

func checkResources(f *check.Errors, s *corev1.NodeStatus) {
	status := field.NewPath("status")
	for _, name := range sortedNames(s.Capacity) {
		checkQuantity(f, name, s.Capacity[name], status.Child("capacity", string(name)))
	}
	for _, name := range sortedNames(s.Allocatable) {
		checkQuantity(f, name, s.Allocatable[name], status.Child("allocatable", string(name)))
	}
}

func checkTaints(f *check.Errors, taints []corev1.Taint, list *field.Path) {
	type pair struct {
		key    string
		effect corev1.TaintEffect
	}
	seen := map[pair]bool{}
	for i, t := range taints {
		if f.Full() {
			return
		}
		p := list.Index(i)
		f.Add(metavalidation.ValidateLabelName(t.Key, p.Child("key"))...)
		if wrong := validation.IsValidLabelValue(t.Value); len(wrong) > 0 {
			f.Invalid(p.Child("value"), t.Value, strings.Join(wrong, ";"))
		}
		checkTaintEffect(f, t.Effect, p.Child("effect"))
		if seen[pair{t.Key, t.Effect}] {
			err := field.Duplicate(p, t)
			err.Detail = "taints must be unique by key and effect pair"
			f.Add(err)
		}
		seen[pair{t.Key, t.Effect}] = true
	}
}

var featureName = regexp.MustCompile(`^[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*$`)

func checkFeatures(f *check.Errors, features []string, p *field.Path) {
	for i, name := range features {
		if len(name) > validation.DNS1123SubdomainMaxLength {
			f.Invalid(p.Index(i), name, fmt.Sprintf("invalid feature name %q: must be no more than %d characters", name, validation.DNS1123SubdomainMaxLength))
		} else if !featureName.MatchString(name) {
			f.Invalid(p.Index(i), name, fmt.Sprintf("invalid feature name %q: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes", name))
		}
		if i == 0 {
			continue
		}
		switch before := features[i-1]; {
		case before == name:
			f.Duplicate(p.Index(i), name)
		case before > name:
			f.Invalid(p.Index(i), name, "list must be sorted alphabetically")
		}
	}
}

func checkPodCIDRs(f *check.Errors, cidrs []string, p *field.Path) {
	for i, cidr := range cidrs {
		f.CIDR(p.Index(i), cidr)
	}
	if len(cidrs) < 2 {
		return
	}
	dual, err := netutils.IsDualStackCIDRStrings(cidrs)
	if err != nil {
		f.Add(field.InternalError(p, fmt.Errorf("invalid PodCIDRs. failed to check with dual stack with error:%v", err)))
	}
	if !dual || len(cidrs) > 2 {
		f.Invalid(p, cidrs, "may specify no more than one CIDR for each IP family")
	}
}

// checkNodeUpdate checks what stays once it is set: the ranges of its pods and the names others know it by.
func checkNodeUpdate(f *check.Errors, node, old *corev1.Node) {
	spec, was := field.NewPath("spec"), &old.Spec
	seen := map[corev1.NodeAddress]bool{}
	for i, a := range node.Status.Addresses {
		if seen[a] {
			f.Duplicate(field.NewPath("status", "addresses").Index(i), a)
		}
		seen[a] = true
	}
	if len(was.PodCIDRs) > 0 && !slices.Equal(was.PodCIDRs, node.Spec.PodCIDRs) {
		f.Forbidden(spec.Child("podCIDRs"), "node updates may not change podCIDR except from \"\" to valid")
	}
	if was.ProviderID != "" && was.ProviderID != node.Spec.ProviderID {
		f.Forbidden(spec.Child("providerID"), "node updates may not change providerID except from \"\" to valid")
	}
	checkTaints(f, node.Spec.Taints, taintsPath)
	if was.DoNotUseExternalID != node.Spec.DoNotUseExternalID {
		f.Forbidden(spec.Child("externalID"), "may not be updated")
	}
}

func nodeWarnings(node, _ *corev1.Node) (w []string) {
	if node.Spec.ConfigSource != nil {
		w = append(w, "spec.configSource: the feature is removed")
	}
	if node.Spec.DoNotUseExternalID != "" {
		w = append(w, "spec.externalID: this field is deprecated, and is unused by Kubernetes")
	}
	for i, cidr := range node.Spec.PodCIDRs {
		w = append(w, check.WarnCIDR(field.NewPath("spec", "podCIDRs").Index(i), cidr)...)
	}
	return w
}
