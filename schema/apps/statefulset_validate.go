package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

func validateStatefulSet(s *appsv1.StatefulSet) field.ErrorList {
	return checkStatefulSet(s, statefulSetRules{claims: true, service: true, template: true})
}

// validateStatefulSetUpdate checks
//   - the spec, but for the claim templates and the service's name, which cannot change
//   - the pod template, unless the old spec has errors
//   - that nothing else changed than what may change.
func validateStatefulSetUpdate(s, old *appsv1.StatefulSet) field.ErrorList {
	rules := statefulSetRules{template: true}
	errs := checkStatefulSet(s, rules)
	if len(errs) > 0 && len(checkStatefulSet(old, rules)) > 0 {
		errs = checkStatefulSet(s, statefulSetRules{})
	}
	if is, was := &s.Spec, &old.Spec; is.ServiceName != was.ServiceName || is.PodManagementPolicy != was.PodManagementPolicy ||
		!equality.Semantic.DeepEqual(is.Selector, was.Selector) || !equality.Semantic.DeepEqual(is.VolumeClaimTemplates, was.VolumeClaimTemplates) {
		errs = append(errs, field.Forbidden(field.NewPath("spec"), "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"))
	}
	return errs
}

// statefulSetRules are the parts of a spec that are checked besides the others.
type statefulSetRules struct{ claims, service, template bool }

func checkStatefulSet(s *appsv1.StatefulSet, rules statefulSetRules) field.ErrorList {
	var f check.Errors
	spec, p := &s.Spec, field.NewPath("spec")
	checkPodManagement(&f, spec.PodManagementPolicy, p.Child("podManagementPolicy"))
	checkStatefulSetStrategy(&f, &spec.UpdateStrategy, p.Child("updateStrategy"))
	if r := spec.PersistentVolumeClaimRetentionPolicy; r != nil {
		at := p.Child("persistentVolumeClaimRetentionPolicy")
		const keep, remove = appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType
		check.OneOf(&f, at.Child("whenDeleted"), r.WhenDeleted, keep, remove)
		check.OneOf(&f, at.Child("whenScaled"), r.WhenScaled, keep, remove)
	}
	for i := range spec.VolumeClaimTemplates {
		if rules.claims && !f.Full() {
			f.Add(core.ValidateClaimSpec(&spec.VolumeClaimTemplates[i].Spec, p.Child("volumeClaimTemplates").Index(i).Child("spec"))...)
		}
	}
	checkReplicas(&f, spec.Replicas, p)
	f.NotNegative(p.Child("minReadySeconds"), int64(spec.MinReadySeconds))
	if o := spec.Ordinals; o != nil {
		f.NotNegative(p.Child("ordinals", "start"), int64(o.Start))
	}
	if rules.service && spec.ServiceName != "" {
		f.Label(p.Child("serviceName"), spec.ServiceName)
	}
	checkSetSelector(&f, spec.Selector, "statefulset", p.Child("selector"))
	template := p.Child("template")
	if selector, err := metav1.LabelSelectorAsSelector(spec.Selector); err != nil {
		f.Invalid(p.Child("selector"), spec.Selector, "")
	} else {
		checkSelected(&f, &spec.Template, selector, template)
		if rules.template {
			f.Add(core.ValidatePodTemplate(asSetOnPods(spec), template)...)
		}
		f.Add(core.ValidateTemplateMeta(&spec.Template, template)...) // again, as Kubernetes does it
	}
	checkRunsForever(&f, &spec.Template, "StatefulSet", template)
	return f.List
}

func checkPodManagement(f *check.Errors, policy appsv1.PodManagementPolicyType, p *field.Path) {
	switch policy {
	case "":
		f.Required(p, "")
	case appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement:
	default:
		f.Invalid(p, policy, fmt.Sprintf("must be '%s' or '%s'", appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement))
	}
}

func checkStatefulSetStrategy(f *check.Errors, s *appsv1.StatefulSetUpdateStrategy, p *field.Path) {
	rolling := p.Child("rollingUpdate")
	switch r := s.RollingUpdate; s.Type {
	case "":
		f.Required(p, "")
	case appsv1.OnDeleteStatefulSetStrategyType:
		if r != nil {
			f.Invalid(rolling, check.Quoted(r), fmt.Sprintf("only allowed for updateStrategy '%s'", appsv1.RollingUpdateStatefulSetStrategyType))
		}
	case appsv1.RollingUpdateStatefulSetStrategyType:
		if r == nil {
			return
		}
		f.NotNegative(rolling.Child("partition"), value(r.Partition))
		if n, at := r.MaxUnavailable, rolling.Child("maxUnavailable"); n != nil {
			f.IntOrPercent(at, *n)
			if check.IntOrPercentValue(*n) == 0 {
				f.Invalid(at, *n, "cannot be 0")
			}
			f.AtMost100Percent(at, *n)
		}
	default:
		f.Invalid(p, check.Quoted(*s), fmt.Sprintf("must be '%s' or '%s'", appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType))
	}
}

// asSetOnPods is the template as the controller makes pods of it: hostname and subdomain are its own, and each claim template
// is a volume instead of one of that name.
func asSetOnPods(spec *appsv1.StatefulSetSpec) *corev1.PodTemplateSpec {
	t := spec.Template // shares all but what is set here
	t.Spec.Hostname, t.Spec.Subdomain = "", ""
	if len(spec.VolumeClaimTemplates) == 0 {
		return &t
	}
	claims := make(map[string]bool, len(spec.VolumeClaimTemplates))
	volumes := make([]corev1.Volume, 0, len(spec.VolumeClaimTemplates)+len(t.Spec.Volumes))
	for i := range spec.VolumeClaimTemplates {
		name := spec.VolumeClaimTemplates[i].Name
		if claims[name] {
			continue
		}
		claims[name] = true
		volumes = append(volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}})
	}
	for _, v := range t.Spec.Volumes {
		if !claims[v.Name] {
			volumes = append(volumes, v)
		}
	}
	t.Spec.Volumes = volumes
	return &t
}

func validateStatefulSetStatus(s, old *appsv1.StatefulSet) field.ErrorList {
	var f check.Errors
	st, p := &s.Status, field.NewPath("status")
	checkCounts(&f, p, counts{
		{"replicas", int64(st.Replicas)}, {"readyReplicas", int64(st.ReadyReplicas)}, {"currentReplicas", int64(st.CurrentReplicas)},
		{"updatedReplicas", int64(st.UpdatedReplicas)}, {"availableReplicas", int64(st.AvailableReplicas)},
		{"observedGeneration", st.ObservedGeneration}, {"collisionCount", value(st.CollisionCount)},
	})
	checkParts(&f, p, st.Replicas, counts{
		{"readyReplicas", int64(st.ReadyReplicas)}, {"currentReplicas", int64(st.CurrentReplicas)},
		{"updatedReplicas", int64(st.UpdatedReplicas)}, {"availableReplicas", int64(st.AvailableReplicas)},
	})
	if st.AvailableReplicas > st.ReadyReplicas {
		f.Invalid(p.Child("availableReplicas"), st.AvailableReplicas, "cannot be greater than status.readyReplicas")
	}
	checkCollisions(&f, st.CollisionCount, old.Status.CollisionCount, p)
	return f.List
}

// statefulSetWarnings names the claim templates of an update as Kubernetes does.
func statefulSetWarnings(s, old *appsv1.StatefulSet) []string {
	w := templateWarnings(s, &s.Spec.Template, false, old != nil && s.Generation == old.Generation)
	for i := range s.Spec.VolumeClaimTemplates {
		at := field.NewPath("spec", "volumeClaimTemplates").Index(i)
		if old != nil {
			at = at.Child("Spec")
		}
		w = append(w, core.ClaimSpecWarnings(&s.Spec.VolumeClaimTemplates[i].Spec, at)...)
	}
	if n := s.Spec.RevisionHistoryLimit; n != nil && *n < 0 {
		w = append(w, "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended")
	}
	return w
}

func boundStatefulSet(s *appsv1.StatefulSet) field.ErrorList {
	return core.BoundPodSpec(&s.Spec.Template.Spec, templateSpec)
}
