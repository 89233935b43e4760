package plugins

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/admit"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// The annotations of a namespace: JSON lists of tolerations.
const (
	defaultTolerationsAnnotation = "scheduler.alpha.kubernetes.io/defaultTolerations"
	tolerationsListAnnotation    = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
)

// tolerationLimits are the plug-in's configuration, for namespaces without the annotations.
type tolerationLimits struct {
	metav1.TypeMeta `json:",inline"`
	// Default is added to pods.
	Default []corev1.Toleration `json:"default,omitempty"`
	// Whitelist has what pods may tolerate; empty: everything.
	Whitelist []corev1.Toleration `json:"whitelist,omitempty"`
}

// podTolerationRestriction bounds what the pods of a namespace tolerate.
func podTolerationRestriction(_ Options, configuration []byte) (admit.Rule, error) {
	var c tolerationLimits
	if configuration != nil {
		if err := decodeAs(configuration, "podtolerationrestriction.admission.k8s.io/v1alpha1", "Configuration", &c); err != nil {
			return admit.Rule{}, err
		}
	}
	return admit.Rule{
		Name: "PodTolerationRestriction", Doc: "pods get the tolerations of their namespace, and no others than it allows",
		Wants: admit.Resource("pods", admit.Create, admit.Update), Mutate: c.merge, Validate: c.check,
	}, nil
}

// merge adds the namespace's tolerations to a new pod, and that of memory pressure to one that requests resources.
func (c *tolerationLimits) merge(ctx context.Context, read admit.Reader, q *admit.Request) error {
	pod := q.Object.(*corev1.Pod)
	var extra []corev1.Toleration
	if q.Operation == admit.Create {
		var err error
		if extra, _, err = c.of(ctx, read, q.Namespace, defaultTolerationsAnnotation, c.Default); err != nil {
			return err
		}
	}
	if core.QOS(pod) != corev1.PodQOSBestEffort {
		extra = append(extra[:len(extra):len(extra)], corev1.Toleration{Key: corev1.TaintNodeMemoryPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
	}
	if len(extra) > 0 {
		pod.Spec.Tolerations = pods.MergeTolerations(pod.Spec.Tolerations, extra)
	}
	return c.check(ctx, read, q)
}

func (c *tolerationLimits) check(ctx context.Context, read admit.Reader, q *admit.Request) error {
	tolerations := q.Object.(*corev1.Pod).Spec.Tolerations
	if len(tolerations) == 0 {
		return nil
	}
	allowed, scope, err := c.of(ctx, read, q.Namespace, tolerationsListAnnotation, c.Whitelist)
	if err != nil || len(allowed) == 0 || pods.AllIncluded(tolerations, allowed) {
		return err
	}
	return &admit.Denied{Reason: fmt.Sprintf("pod tolerations (possibly merged with namespace default tolerations) conflict with its %s whitelist", scope)}
}

// of are the tolerations in an annotation of a namespace, or otherwise those of the cluster; scope says which.
func (c *tolerationLimits) of(ctx context.Context, read admit.Reader, namespace, annotation string, otherwise []corev1.Toleration) (list []corev1.Toleration, scope string, err error) {
	ns, err := namespaceOf(ctx, read, namespace)
	if err != nil {
		return nil, "", err
	}
	text, ok := ns.GetAnnotations()[annotation]
	switch {
	case !ok:
		return otherwise, "cluster", nil
	case text == "":
		return nil, "namespace", nil
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, "", &admit.Misconfigured{Reason: err.Error()}
	}
	return list, "namespace", nil
}
