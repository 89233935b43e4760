package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
	"gantry/schema/pods"
)

// NameWarnings returns why the name of an object is no good name for its pods.
func NameWarnings(name string) []string {
	wrong := validation.IsDNS1123Label(name)
	if len(wrong) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", wrong)}
}

// podWarnings returns none for updates: most of them are made by controllers.
func podWarnings(pod, old *corev1.Pod) []string {
	if old != nil {
		return nil
	}
	var w []string
	if wrong := validation.IsDNS1123Label(pod.Name); len(wrong) > 0 {
		w = append(w, fmt.Sprintf("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", wrong))
	}
	return append(w, PodWarnings(&pod.ObjectMeta, &pod.Spec, nil)...)
}

// PodWarnings returns what is valid in a pod or template and yet most likely not meant. root is the path of the
// template, nil for a pod.
func PodWarnings(meta *metav1.ObjectMeta, spec *corev1.PodSpec, root *field.Path) []string {
	w := podWarner{spec: root.Child("spec")}
	w.labels(spec)
	w.annotations(meta, root.Child("metadata", "annotations"))
	w.volumes(spec.Volumes)
	w.lists(spec)
	w.fraction(spec.Overhead, w.spec.Child("overhead"))
	c := podCheck{spec: spec}
	for at, ctr := range pods.ContainersWithPath(c.spec, w.spec) {
		w.container(ctr, at)
	}
	w.ports(&c)
	if g := spec.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		w.say(w.spec.Child("terminationGracePeriodSeconds"), "must be >= 0; negative values are invalid and will be treated as 1")
	}
	w.selectors(spec.Affinity)
	w.addresses(spec)
	return w.texts
}

type podWarner struct {
	spec  *field.Path
	texts []string
}

// maxWarnings bounds the warnings of a pod.
const maxWarnings = 100

func (w *podWarner) say(p *field.Path, format string, args ...any) {
	if len(w.texts) < maxWarnings {
		w.texts = append(w.texts, fmt.Sprintf("%s: ", p)+fmt.Sprintf(format, args...))
	}
}

func (w *podWarner) labels(spec *corev1.PodSpec) {
	for _, key := range sortedKeys(spec.NodeSelector) {
		if text, deprecated := NodeLabelDeprecation(key); deprecated {
			w.say(w.spec.Child("nodeSelector").Key(key), "%s", text)
		}
	}
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil {
		w.nodeTerms(a.NodeAffinity, w.spec.Child("affinity", "nodeAffinity"))
	}
	for i, t := range spec.TopologySpreadConstraints {
		p := w.spec.Child("topologySpreadConstraints").Index(i)
		if text, deprecated := NodeLabelDeprecation(t.TopologyKey); deprecated {
			w.say(p.Child("topologyKey"), "%s is %s", t.TopologyKey, text)
		}
		w.needsSelector(t.LabelSelector, p)
	}
}

func (w *podWarner) nodeTerms(a *corev1.NodeAffinity, p *field.Path) {
	if r := a.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
		for i := range r.NodeSelectorTerms {
			nodeTermWarnings(&r.NodeSelectorTerms[i], false, p.Child(required, "nodeSelectorTerms").Index(i), w.say)
		}
	}
	for i := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		nodeTermWarnings(&a.PreferredDuringSchedulingIgnoredDuringExecution[i].Preference, true, p.Child(preferred).Index(i).Child("preference"), w.say)
	}
}

func (w *podWarner) needsSelector(s *metav1.LabelSelector, p *field.Path) {
	if s == nil {
		w.say(p.Child("labelSelector"), "a null labelSelector results in matching no pod")
	}
}

func (w *podWarner) annotations(meta *metav1.ObjectMeta, p *field.Path) {
	for _, a := range []struct{ key, text string }{
		{"scheduler.alpha.kubernetes.io/critical-pod", `non-functional in v1.16+; use the "priorityClassName" field instead`},
		{"security.alpha.kubernetes.io/sysctls", `non-functional in v1.11+; use the "sysctls" field instead`},
		{"security.alpha.kubernetes.io/unsafe-sysctls", `non-functional in v1.11+; use the "sysctls" field instead`},
	} {
		if _, ok := meta.Annotations[a.key]; ok {
			w.say(p.Key(a.key), "%s", a.text)
		}
	}
}

func (w *podWarner) volumes(volumes []corev1.Volume) {
	for i := range volumes {
		v, p := &volumes[i], w.spec.Child("volumes").Index(i)
		for _, s := range []struct {
			set        bool
			name, text string
		}{
			{v.PhotonPersistentDisk != nil, "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
			{v.GitRepo != nil, "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"},
			{v.ScaleIO != nil, "scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
			{v.Flocker != nil, "flocker", "deprecated in v1.22, non-functional in v1.25+"},
			{v.StorageOS != nil, "storageOS", "deprecated in v1.22, non-functional in v1.25+"},
			{v.Quobyte != nil, "quobyte", "deprecated in v1.22, non-functional in v1.25+"},
			{v.Glusterfs != nil, "glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
			{v.CephFS != nil, "cephfs", "deprecated in v1.28, non-functional in v1.31+"},
			{v.RBD != nil, "rbd", "deprecated in v1.28, non-functional in v1.31+"},
		} {
			if s.set {
				w.say(p.Child(s.name), "%s", s.text)
			}
		}
	}
}

// lists warns of duplicate entries.
func (w *podWarner) lists(spec *corev1.PodSpec) {
	seen := map[string]bool{}
	for i, a := range spec.HostAliases {
		if seen[a.IP] {
			w.say(w.spec.Child("hostAliases").Index(i).Child("ip"), "duplicate ip %q", a.IP)
		}
		seen[a.IP] = true
	}
	clear(seen)
	for i, s := range spec.ImagePullSecrets {
		p := w.spec.Child("imagePullSecrets").Index(i).Child("name")
		if seen[s.Name] {
			w.say(p, "duplicate name %q", s.Name)
		}
		seen[s.Name] = true
	}
	for i, s := range spec.ImagePullSecrets {
		if s.Name == "" {
			w.say(w.spec.Child("imagePullSecrets").Index(i).Child("name"), "invalid empty name %q", s.Name)
		}
	}
}

// fraction warns of fractions of a byte.
func (w *podWarner) fraction(list corev1.ResourceList, p *field.Path) {
	for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if q, ok := list[name]; ok && q.MilliValue()%1000 != 0 {
			w.say(p.Key(string(name)), "fractional byte value %q is invalid, must be an integer", q.String())
		}
	}
}

func (w *podWarner) container(ctr *corev1.Container, p *field.Path) {
	w.fraction(ctr.Resources.Limits, p.Child("resources", "limits"))
	w.fraction(ctr.Resources.Requests, p.Child("resources", "requests"))
	seen := map[string]bool{}
	for i, e := range ctr.Env {
		// PATH=$(PATH):/more builds on the one before and hides nothing.
		if own := "$(" + e.Name + ")"; seen[e.Name] && (e.ValueFrom != nil || e.Value == own || !strings.Contains(e.Value, own)) {
			w.say(p.Child("env").Index(i), "hides previous definition of %q, which may be dropped when using apply", e.Name)
		}
		seen[e.Name] = true
	}
}

// ports finds ports of the pod's containers that are one port.
func (w *podWarner) ports(c *podCheck) {
	type place struct {
		p    *field.Path
		port corev1.ContainerPort
	}
	taken, names := map[string][]place{}, map[string]*field.Path{}
	for at, ctr := range pods.ContainersWithPath(c.spec, w.spec) {
		for i, port := range ctr.Ports {
			p := at.Child("ports").Index(i)
			if port.HostIP != "" && port.HostPort == 0 {
				w.say(p, "hostIP set without hostPort: %+v", port)
			}
			key := fmt.Sprintf("%d/%s", port.ContainerPort, port.Protocol)
			for _, o := range taken[key] {
				switch {
				case port.HostIP == o.port.HostIP && port.HostPort == o.port.HostPort:
					w.say(p, "duplicate port definition with %s", o.p)
				case port.HostPort == 0 || o.port.HostPort == 0:
					w.say(p, "overlapping port definition with %s", o.p)
				case port.HostPort == o.port.HostPort && (port.HostIP == "") != (o.port.HostIP == ""):
					w.say(p, "dangerously ambiguous port definition with %s", o.p)
				}
			}
			if len(taken[key]) < maxWarnings { // each is compared with each
				taken[key] = append(taken[key], place{p, port})
			}
		}
	}
	for at, ctr := range pods.ContainersWithPath(c.spec, w.spec) {
		for i, port := range ctr.Ports {
			p := at.Child("ports").Index(i)
			if first := names[port.Name]; port.Name != "" && first != nil {
				w.say(p, "duplicate port name %q with %s, services and probes that select ports by name will use %s", port.Name, first, first)
			} else {
				names[port.Name] = p
			}
		}
	}
}

func (w *podWarner) selectors(a *corev1.Affinity) {
	if a == nil {
		return
	}
	terms := func(must []corev1.PodAffinityTerm, preferredTerms []corev1.WeightedPodAffinityTerm, p *field.Path) {
		for i := range must {
			w.needsSelector(must[i].LabelSelector, p.Child(required).Index(i))
		}
		for i := range preferredTerms {
			w.needsSelector(preferredTerms[i].PodAffinityTerm.LabelSelector, p.Child(preferred).Index(i).Child("podAffinityTerm"))
		}
	}
	if p := a.PodAffinity; p != nil {
		terms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, w.spec.Child("affinity", "podAffinity"))
	}
	if p := a.PodAntiAffinity; p != nil {
		terms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, w.spec.Child("affinity", "podAntiAffinity"))
	}
}

func (w *podWarner) addresses(spec *corev1.PodSpec) {
	if d := spec.DNSConfig; d != nil {
		for i, ns := range d.Nameservers {
			w.texts = append(w.texts, check.WarnIP(w.spec.Child("dnsConfig", "nameservers").Index(i), ns)...)
		}
	}
	for i, a := range spec.HostAliases {
		w.texts = append(w.texts, check.WarnIP(w.spec.Child("hostAliases").Index(i).Child("ip"), a.IP)...)
	}
}
