package lifecycle

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/extension"
	"gantry/registry"
	"gantry/schema"
)

// remainingContent is what remains in a namespace being deleted, by kind.
type remainingContent []remainingKind

type remainingKind struct {
	resource   string // "deployments.apps", "pods."
	count      int
	finalizers map[string]int
	// gracePeriod is the longest of them.
	gracePeriod time.Duration
}

func remainingOf(k *schema.Kind, items []*registry.Item) remainingContent {
	objects := make([]metav1.Object, len(items))
	for i, it := range items {
		objects[i] = it.Object()
	}
	return remainingObjects(k.Plural+"."+k.Group, objects)
}

func remainingObjects[T metav1.Object](resource string, objects []T) remainingContent {
	if len(objects) == 0 {
		return nil
	}
	r := remainingKind{resource: resource, count: len(objects), finalizers: map[string]int{}}
	for _, obj := range objects {
		for _, f := range obj.GetFinalizers() {
			r.finalizers[f]++
		}
		if g := obj.GetDeletionGracePeriodSeconds(); g != nil && *g < 1<<30 {
			r.gracePeriod = max(r.gracePeriod, time.Duration(*g)*time.Second)
		}
	}
	return remainingContent{r}
}

// emptyingErrors are what went wrong while a namespace was emptied.
type emptyingErrors struct {
	discovery extension.DiscoveryError
	parsing   []error // of the versions of groups that API services name
	content   []error
}

// join is nil where nothing went wrong.
func (e emptyingErrors) join() error {
	all := slices.Concat(e.parsing, e.content)
	if len(e.discovery) > 0 {
		all = append(all, e.discovery)
	}
	return errors.Join(all...)
}

// texts are those of the conditions; "": nothing went wrong.
func (e emptyingErrors) texts() (discovery, parsing, content string) {
	if n := len(e.discovery); n > 0 {
		discovery = fmt.Sprintf("Discovery failed for some groups, %d failing: %v", n, e.discovery)
	}
	if err := errors.Join(e.parsing...); err != nil {
		parsing = err.Error()
	}
	var all []string
	for _, err := range e.content {
		all = append(all, err.Error())
	}
	slices.Sort(all)
	if len(all) > 0 {
		content = fmt.Sprintf("Failed to delete all resource types, %d remaining: %s", len(all), strings.Join(all, ", "))
	}
	return discovery, parsing, content
}

func (r remainingContent) any() bool { return len(r) > 0 }

// recheck is after how long the namespace is reconciled again even if nothing in it changed.
func (r remainingContent) recheck() time.Duration {
	longest := time.Duration(0)
	for _, e := range r {
		longest = max(longest, e.gracePeriod)
	}
	return max(longest, 5*time.Second) / 2
}

// text joins what f says of each kind, sorted.
func (r remainingContent) text(f func(remainingKind) []string) string {
	var parts []string
	for _, e := range r {
		parts = append(parts, f(e)...)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// conditions are those of the namespace's status while it is being deleted.
func (r remainingContent) conditions(was []corev1.NamespaceCondition, failed emptyingErrors, now time.Time) []corev1.NamespaceCondition {
	content := r.text(func(e remainingKind) []string {
		return []string{fmt.Sprintf("%s has %d resource instances", e.resource, e.count)}
	})
	held := r.text(func(e remainingKind) []string {
		var out []string
		for _, f := range slices.Sorted(maps.Keys(e.finalizers)) {
			out = append(out, fmt.Sprintf("%s in %d resource instances", f, e.finalizers[f]))
		}
		return out
	})
	discovery, parsing, failure := failed.texts()
	set := func(t corev1.NamespaceConditionType, bad, badReason, goodReason, good string) {
		c := corev1.NamespaceCondition{Type: t, Status: corev1.ConditionFalse, Reason: goodReason, Message: good, LastTransitionTime: metav1.NewTime(now)}
		if bad != "" {
			c.Status, c.Reason, c.Message = corev1.ConditionTrue, badReason, bad
		}
		i := slices.IndexFunc(was, func(o corev1.NamespaceCondition) bool { return o.Type == t })
		if i < 0 {
			was = append(was, c)
			return
		}
		if was[i].Status == c.Status {
			c.LastTransitionTime = was[i].LastTransitionTime
		}
		was[i] = c
	}
	was = slices.Clone(was)
	set(corev1.NamespaceDeletionDiscoveryFailure, discovery, "DiscoveryFailed", "ResourcesDiscovered", "All resources successfully discovered")
	set(corev1.NamespaceDeletionGVParsingFailure, parsing, "GroupVersionParsingFailed", "ParsedGroupVersions", "All legacy kube types successfully parsed")
	set(corev1.NamespaceDeletionContentFailure, failure, "ContentDeletionFailed", "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
	set(corev1.NamespaceContentRemaining, prefixed("Some resources are remaining: ", content), "SomeResourcesRemain", "ContentRemoved", "All content successfully removed")
	set(corev1.NamespaceFinalizersRemaining, prefixed("Some content in the namespace has finalizers remaining: ", held), "SomeFinalizersRemain", "ContentHasNoFinalizers", "All content-preserving finalizers finished")
	return was
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
