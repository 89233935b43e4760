package core

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
	"gantry/schema/internal/cost"
)

// many is n elements made each of its number.
func many[T any](n int, one func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = one(i)
	}
	return out
}

func numbered(prefix string, i int) string { return fmt.Sprintf("%s%d", prefix, i) }

// longPods are lists of pods whose elements are compared with each other or with another list.
var longPods = map[string]func(p *corev1.Pod, n int){
	"env entries without a name": eachOf(func(c *corev1.Container, n int) { c.Env = make([]corev1.EnvVar, n) }),
	"volumes without a source": func(p *corev1.Pod, n int) {
		p.Spec.Volumes = many(n, func(int) corev1.Volume {
			return corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}}
		})
	},
	"mounts and devices": func(p *corev1.Pod, n int) {
		p.Spec.Volumes = many(n, func(i int) corev1.Volume {
			return corev1.Volume{Name: numbered("v", i), VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}}
		})
		p.Spec.Containers[0].VolumeMounts = many(n, func(i int) corev1.VolumeMount {
			return corev1.VolumeMount{Name: numbered("v", i), MountPath: numbered("/m", i)}
		})
		p.Spec.Containers[0].VolumeDevices = many(n, func(i int) corev1.VolumeDevice {
			return corev1.VolumeDevice{Name: numbered("v", i), DevicePath: numbered("/d", i)}
		})
	},
	"variables from files": func(p *corev1.Pod, n int) {
		p.Spec.Volumes = many(n, func(i int) corev1.Volume { return corev1.Volume{Name: numbered("v", i)} })
		p.Spec.Containers[0].Env = many(n, func(i int) corev1.EnvVar {
			return corev1.EnvVar{Name: "E", ValueFrom: &corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{VolumeName: numbered("v", n-i), Path: "p", Key: "k"}}}
		})
	},
	"claims of devices that are not there": func(p *corev1.Pod, n int) {
		p.Spec.ResourceClaims = many(n, func(i int) corev1.PodResourceClaim { return corev1.PodResourceClaim{Name: numbered("a", i)} })
		p.Spec.Containers[0].Resources.Claims = many(n, func(i int) corev1.ResourceClaim { return corev1.ResourceClaim{Name: numbered("b", i)} })
	},
	"ports that are one": eachOf(func(c *corev1.Container, n int) {
		c.Ports = many(n, func(i int) corev1.ContainerPort { return corev1.ContainerPort{ContainerPort: 80} })
	}),
	"ports of the host": eachOf(func(c *corev1.Container, n int) {
		c.Ports = many(n, func(i int) corev1.ContainerPort {
			return corev1.ContainerPort{ContainerPort: 80, HostPort: int32(i + 1), HostIP: "10.0.0.1"}
		})
	}),
	"spread constraints": func(p *corev1.Pod, n int) {
		p.Spec.TopologySpreadConstraints = many(n, func(i int) corev1.TopologySpreadConstraint {
			return corev1.TopologySpreadConstraint{TopologyKey: numbered("k", i), MaxSkew: 1, WhenUnsatisfiable: corev1.DoNotSchedule}
		})
	},
	"profiles of no container": func(p *corev1.Pod, n int) {
		p.Annotations = map[string]string{}
		for i := range n {
			p.Annotations[numbered(appArmorAnnotation, i)] = ""
		}
		p.Spec.InitContainers = many(min(n, maxContainers), func(i int) corev1.Container { return corev1.Container{Name: numbered("i", i), Image: "i"} })
	},
	"a claim's name with each entry": func(p *corev1.Pod, n int) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{Secret: &corev1.SecretProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: strings.Repeat("s", 100*n)},
				Items:                make([]corev1.KeyToPath, n),
			}}},
		}}}}
		for i := range n {
			p.Spec.Volumes[0].Projected.Sources[0].Secret.Items[i] = corev1.KeyToPath{Key: "k", Path: "p"}
		}
	},
	"pairs of a registry": func(p *corev1.Pod, n int) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Quobyte: &corev1.QuobyteVolumeSource{
			Volume: "v", Registry: strings.Repeat("x,", n),
		}}}}
	},
}

func eachOf(change func(c *corev1.Container, n int)) func(*corev1.Pod, int) {
	return func(p *corev1.Pod, n int) { change(&p.Spec.Containers[0], n) }
}

// TestPodsCostInProportion defaults and validates pods with long lists, and words their errors and warnings.
func TestPodsCostInProportion(t *testing.T) {
	for name, change := range longPods {
		t.Run(name, func(t *testing.T) {
			cost.InProportion(t, func(n int) func() {
				pod := simplePod()
				change(pod, n)
				return func() { prepareAndValidate(t, Pod, pod, nil) }
			})
		})
	}
}

// prepareAndValidate does what a write does with an object before it is stored.
func prepareAndValidate(t *testing.T, k *schema.Kind, obj, old schema.Object) field.ErrorList {
	t.Helper()
	if bound := k.Bound; bound != nil && len(bound(obj)) > 0 {
		return bound(obj)
	}
	k.Default(obj)
	var errs field.ErrorList
	if old == nil {
		errs = k.Validate(obj)
	} else {
		k.PrepareUpdate(obj, old)
		errs = k.ValidateUpdate(obj, old)
	}
	errs = schema.TruncateErrors(errs)
	if n := len(errs); n > check.MaxErrors+1 {
		t.Errorf("%d errors are listed", n)
	}
	if err := errs.ToAggregate(); err != nil {
		_ = err.Error()
	}
	k.Warnings(obj, old)
	return errs
}

// TestUpdatesCostInProportion does so for what is compared with the object it replaces.
func TestUpdatesCostInProportion(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, n int) func()
	}{
		{"tolerations", func(t *testing.T, n int) func() {
			old, pod := simplePod(), simplePod()
			old.Spec.Tolerations = many(n, func(i int) corev1.Toleration {
				return corev1.Toleration{Key: numbered("k", i), Operator: corev1.TolerationOpExists}
			})
			pod.Spec.Tolerations = append([]corev1.Toleration{{Key: "new", Operator: corev1.TolerationOpExists}}, old.Spec.Tolerations...)
			return func() { prepareAndValidate(t, Pod, pod, old) }
		}},
		{"arguments", func(t *testing.T, n int) func() {
			old, pod := simplePod(), simplePod()
			old.Spec.Containers[0].Args = many(4*n, func(i int) string { return numbered("x", i%200) })
			pod.Spec.Containers[0].Args = many(4*n, func(i int) string { return numbered("x", i*7%200) })
			return func() { prepareAndValidate(t, Pod, pod, old) }
		}},
		{"statuses of containers", func(t *testing.T, n int) func() {
			old, pod := simplePod(), simplePod()
			old.Spec.Containers = many(n, func(i int) corev1.Container { return corev1.Container{Name: numbered("c", i), Image: "i"} })
			old.Spec.RestartPolicy = corev1.RestartPolicyNever
			pod.Spec = *old.Spec.DeepCopy()
			old.Status.ContainerStatuses = many(n, func(i int) corev1.ContainerStatus {
				return corev1.ContainerStatus{Name: numbered("c", i), State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}
			})
			pod.Status.ContainerStatuses = many(n, func(i int) corev1.ContainerStatus { return corev1.ContainerStatus{Name: numbered("c", n-i)} })
			return func() { schema.TruncateErrors(Pod.Subresource("status").Validate(pod, old)) }
		}},
		{"addresses of a pod", func(t *testing.T, n int) func() {
			old, pod := simplePod(), simplePod()
			old.Status.PodIPs = many(n, func(i int) corev1.PodIP { return corev1.PodIP{IP: fmt.Sprintf("10.0.%d.%d", i/256, i%256)} })
			pod.Status.PodIPs = many(n, func(i int) corev1.PodIP { return corev1.PodIP{IP: fmt.Sprintf("10.9.%d.%d", i/256, i%256)} })
			return func() { schema.TruncateErrors(Pod.Subresource("status").Validate(pod, old)) }
		}},
		{"external addresses", func(t *testing.T, n int) func() {
			old, svc := longService(n, 0), longService(n, 9)
			return func() { prepareAndValidate(t, Service, svc, old) }
		}},
		{"taints", func(t *testing.T, n int) func() {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: corev1.NodeSpec{Taints: make([]corev1.Taint, n)}}
			return func() { prepareAndValidate(t, Node, node, node.DeepCopy()) }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cost.InProportion(t, func(n int) func() { return tt.run(t, n) })
		})
	}
}

func longService(n, net int) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "default"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, ClusterIP: "10.96.0.9", ClusterIPs: []string{"10.96.0.9"},
		Ports: many(n, func(i int) corev1.ServicePort {
			return corev1.ServicePort{Name: numbered("p", i), Port: int32(i + 1), NodePort: int32(net + i + 1)}
		}),
		ExternalIPs:              many(n, func(i int) string { return fmt.Sprintf("10.%d.%d.%d", net, i/256, i%256) }),
		LoadBalancerSourceRanges: many(n, func(i int) string { return fmt.Sprintf("10.%d.%d.%d/32", net, i/256, i%256) }),
	}}
}

// TestLongListsAreRefused checks that a list that is too long is the only error of its object.
func TestLongListsAreRefused(t *testing.T) {
	pod := simplePod()
	pod.Spec.Containers = make([]corev1.Container, 10_000)
	got := prepareAndValidate(t, Pod, pod, nil)
	if len(got) != 1 || got[0].Error() != "spec.containers: Too many: 10000: must have at most 1000 items" {
		t.Errorf("errors %v", got)
	}
	pod.Spec.Containers = many(maxContainers, func(i int) corev1.Container { return corev1.Container{Name: numbered("c", i), Image: "i"} })
	if got := prepareAndValidate(t, Pod, pod, nil); len(got) > 0 {
		t.Errorf("a pod of %d containers has errors %v", maxContainers, got)
	}
}
