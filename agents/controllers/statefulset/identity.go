package statefulset

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"gantry/schema/apps"
)

func podName(set *appsv1.StatefulSet, ordinal int) string {
	return set.Name + "-" + strconv.Itoa(ordinal)
}

// ordinalOf returns the ordinal in a pod's name; false: the name is not that of a pod of the set.
func ordinalOf(set *appsv1.StatefulSet, p *corev1.Pod) (int, bool) {
	suffix, ok := strings.CutPrefix(p.Name, set.Name+"-")
	n, err := strconv.ParseInt(suffix, 10, 32)
	return int(n), ok && err == nil && p.Name == podName(set, int(n)) && n >= 0
}

func start(set *appsv1.StatefulSet) int {
	if set.Spec.Ordinals == nil {
		return 0
	}
	return int(set.Spec.Ordinals.Start)
}

func replicas(set *appsv1.StatefulSet) int { return int(max(ptr.Deref(set.Spec.Replicas, 1), 0)) }

// inRange returns whether a pod of an ordinal is to exist.
func inRange(set *appsv1.StatefulSet, ordinal int) bool {
	return ordinal >= start(set) && ordinal < start(set)+replicas(set)
}

// revisionOf is the name of the revision that a pod was made of.
func revisionOf(p *corev1.Pod) string { return p.Labels[appsv1.StatefulSetRevisionLabel] }

// newPod is the pod of an ordinal as a template has it.
func newPod(set *appsv1.StatefulSet, t *corev1.PodTemplateSpec, revision string, ordinal int) *corev1.Pod {
	t = t.DeepCopy()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: podName(set, ordinal), GenerateName: set.Name + "-", Namespace: set.Namespace,
			Labels:          labels.Merge(t.Labels, labels.Set{appsv1.StatefulSetRevisionLabel: revision}),
			Annotations:     t.Annotations,
			Finalizers:      t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, apps.StatefulSet.GVK())},
		},
		Spec: t.Spec,
	}
	setIdentity(p, ordinal)
	setVolumes(set, p, ordinal)
	p.Spec.Hostname, p.Spec.Subdomain = p.Name, set.Spec.ServiceName
	return p
}

func hasIdentity(p *corev1.Pod) bool { return p.Labels[appsv1.StatefulSetPodNameLabel] == p.Name }

// setIdentity sets the labels that name the pod.
func setIdentity(p *corev1.Pod, ordinal int) {
	p.Labels = labels.Merge(p.Labels, labels.Set{appsv1.StatefulSetPodNameLabel: p.Name, appsv1.PodIndexLabel: strconv.Itoa(ordinal)})
}

// hasVolumes returns whether a pod has the volumes of the set's claims.
func hasVolumes(set *appsv1.StatefulSet, p *corev1.Pod, ordinal int) bool {
	for i := range set.Spec.VolumeClaimTemplates {
		t := &set.Spec.VolumeClaimTemplates[i]
		j := slices.IndexFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == t.Name })
		if j < 0 || p.Spec.Volumes[j].PersistentVolumeClaim == nil || p.Spec.Volumes[j].PersistentVolumeClaim.ClaimName != claimName(set, t, ordinal) {
			return false
		}
	}
	return true
}

// setVolumes puts the volumes of the set's claims in the place of volumes with their names.
func setVolumes(set *appsv1.StatefulSet, p *corev1.Pod, ordinal int) {
	var volumes []corev1.Volume
	own := map[string]bool{}
	for i := range set.Spec.VolumeClaimTemplates {
		t := &set.Spec.VolumeClaimTemplates[i]
		own[t.Name] = true
		volumes = append(volumes, corev1.Volume{Name: t.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName(set, t, ordinal)}}})
	}
	for _, v := range p.Spec.Volumes {
		if !own[v.Name] {
			volumes = append(volumes, v)
		}
	}
	p.Spec.Volumes = volumes
}

func claimName(set *appsv1.StatefulSet, template *corev1.PersistentVolumeClaim, ordinal int) string {
	return fmt.Sprintf("%s-%s-%d", template.Name, set.Name, ordinal)
}

// member is a pod of the set with its ordinal.
type member struct {
	ordinal int
	pod     *corev1.Pod
}

func byOrdinal(a, b member) int { return cmp.Compare(a.ordinal, b.ordinal) }
