package core

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
	"gantry/schema/pods"
)

// Pod is the kind of pods.
var Pod = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "Pod",
		New:     func() schema.Object { return &corev1.Pod{} },
		NewList: func() runtime.Object { return &corev1.PodList{} },
		Columns: podColumns, Row: podRow,
		Default: schema.Preparation(defaultPod),
		Fields:  podFields,
	},
	Plural: "pods", Singular: "pod", ShortNames: []string{"po"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "pods",

	Subresources:        podSubresources,
	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(preparePodCreate),
	PrepareUpdate:  schema.UpdatePreparation(preparePodUpdate),
	Bound:          schema.Validation(boundPod),
	Validate:       schema.Validation(validatePod),
	ValidateUpdate: schema.UpdateValidation(validatePodUpdate),
	Warnings:       schema.Warnings(podWarnings),
	Grace:          func(obj schema.Object, requested *int64) int64 { return podGrace(obj.(*corev1.Pod), requested) },
}

var podSubresources = []schema.Subresource{
	schema.Part("ephemeralcontainers", prepareEphemeralContainers, validateEphemeralContainers).Writing("spec.ephemeralContainers"),
	schema.Part("resize", prepareResize, validateResize).Writing(
		"spec.containers.*.resources", "spec.containers.*.resizePolicy", "spec.initContainers.*.resources", "spec.initContainers.*.resizePolicy"),
	schema.Status(preparePodStatus, validatePodStatus).Resetting("metadata.deletionTimestamp", "metadata.ownerReferences"),
}

func preparePodCreate(pod *corev1.Pod) {
	pod.Generation = 1
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: QOS(pod)}
	if len(pod.Spec.SchedulingGates) > 0 {
		pod.Status.Conditions = []corev1.PodCondition{{
			Type:    corev1.PodScheduled,
			Status:  corev1.ConditionFalse,
			Reason:  corev1.PodReasonSchedulingGated,
			Message: "Scheduling is blocked due to non-empty scheduling gates",
		}}
	}
	DropOff(&pod.Spec, nil)
	mergeMatchLabelKeys(pod)
}

func preparePodUpdate(pod, old *corev1.Pod) {
	pod.Status = old.Status
	DropOff(&pod.Spec, &old.Spec)
	raisePodGeneration(pod, old)
}

// raisePodGeneration counts changes of the spec.
func raisePodGeneration(pod, old *corev1.Pod) {
	pod.Generation = old.Generation
	if !sameSpec(&pod.Spec, &old.Spec) {
		pod.Generation++
	}
}

func preparePodStatus(pod, old *corev1.Pod) {
	pod.Spec = old.Spec
	pod.Generation = old.Generation
	pod.DeletionTimestamp = old.DeletionTimestamp
	pod.OwnerReferences = old.OwnerReferences
	if pod.Status.QOSClass == "" {
		pod.Status.QOSClass = old.Status.QOSClass
	}
	keepObservedGeneration(&pod.Status, &old.Status)
}

// keepObservedGeneration fills observedGeneration from old where a writer that does not know the field left it
// out. A status may hold several conditions of one type: they are matched in order.
func keepObservedGeneration(status, old *corev1.PodStatus) {
	if status.ObservedGeneration == 0 {
		status.ObservedGeneration = old.ObservedGeneration
	}
	used := make([]bool, len(old.Conditions))
	for i := range status.Conditions {
		c := &status.Conditions[i]
		for j := range old.Conditions {
			if used[j] || old.Conditions[j].Type != c.Type {
				continue
			}
			used[j] = true
			if c.ObservedGeneration == 0 {
				c.ObservedGeneration = old.Conditions[j].ObservedGeneration
			}
			break
		}
	}
}

// podGrace is how many seconds a deleted pod stays: none before it has a node or after it has ended.
func podGrace(pod *corev1.Pod, requested *int64) int64 {
	if pod.Spec.NodeName == "" || pods.IsTerminal(pod) {
		return 0
	}
	if requested == nil {
		requested = pod.Spec.TerminationGracePeriodSeconds
	}
	switch {
	case requested == nil:
		return 0
	case *requested < 0:
		return 1
	}
	return *requested
}

var podFields = []schema.Field{
	schema.FieldOf("spec.nodeName", func(pod *corev1.Pod) string { return pod.Spec.NodeName }),
	schema.FieldOf("spec.restartPolicy", func(pod *corev1.Pod) string { return string(pod.Spec.RestartPolicy) }),
	schema.FieldOf("spec.schedulerName", func(pod *corev1.Pod) string { return pod.Spec.SchedulerName }),
	schema.FieldOf("spec.serviceAccountName", func(pod *corev1.Pod) string { return pod.Spec.ServiceAccountName }),
	schema.FieldOf("spec.hostNetwork", func(pod *corev1.Pod) string { return strconv.FormatBool(pod.Spec.HostNetwork) }),
	schema.FieldOf("status.phase", func(pod *corev1.Pod) string { return string(pod.Status.Phase) }),
	schema.FieldOf("status.podIP", podIP),
	schema.FieldOf("status.nominatedNodeName", func(pod *corev1.Pod) string { return pod.Status.NominatedNodeName }),
}

func podIP(pod *corev1.Pod) string {
	if len(pod.Status.PodIPs) > 0 {
		return pod.Status.PodIPs[0].IP
	}
	return pod.Status.PodIP
}
