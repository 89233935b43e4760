package core

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// DropOff clears the fields of a pod's spec that belong to features which Kubernetes 1.36 has off, unless old, which
// may be nil, has them: stop signals, trust bundles and certificates in projected volumes, scheduling groups.
func DropOff(spec, old *corev1.PodSpec) {
	if old == nil {
		old = &corev1.PodSpec{}
	}
	if old.SchedulingGroup == nil {
		spec.SchedulingGroup = nil
	}
	dropSignals(spec, old)
	dropProjections(spec, old)
}

func dropSignals(spec, old *corev1.PodSpec) {
	for _, ctr := range pods.Containers(old) {
		if ctr.Lifecycle != nil && ctr.Lifecycle.StopSignal != nil {
			return
		}
	}
	for _, ctr := range pods.Containers(spec) {
		if l := ctr.Lifecycle; l != nil && l.StopSignal != nil {
			if l.StopSignal = nil; *l == (corev1.Lifecycle{}) {
				ctr.Lifecycle = nil
			}
		}
	}
}

func dropProjections(spec, old *corev1.PodSpec) {
	bundle, certificate := false, false
	eachProjection(old, func(p *corev1.VolumeProjection) {
		bundle = bundle || p.ClusterTrustBundle != nil
		certificate = certificate || p.PodCertificate != nil
	})
	eachProjection(spec, func(p *corev1.VolumeProjection) {
		if !bundle {
			p.ClusterTrustBundle = nil
		}
		if !certificate {
			p.PodCertificate = nil
		}
	})
}

func eachProjection(spec *corev1.PodSpec, visit func(*corev1.VolumeProjection)) {
	for i := range spec.Volumes {
		if p := spec.Volumes[i].Projected; p != nil {
			for j := range p.Sources {
				visit(&p.Sources[j])
			}
		}
	}
}
