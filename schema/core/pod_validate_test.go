package core

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	labelRule     = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
	subdomainRule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)

// container changes the only container of the pod.
func container(change func(*corev1.Container)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { change(&pod.Spec.Containers[0]) }
}

func TestContainerErrors(t *testing.T) {
	runValidate(t, Pod, simplePod, []errorCase[*corev1.Pod]{
		{name: "valid"},
		{"none", func(p *corev1.Pod) { p.Spec.Containers = nil }, []string{"spec.containers: Required value"}},
		{"no name", container(func(c *corev1.Container) { c.Name = "" }), []string{"spec.containers[0].name: Required value"}},
		{"bad name", container(func(c *corev1.Container) { c.Name = "Web" }), []string{`spec.containers[0].name: Invalid value: "Web": ` + labelRule}},
		{"no image", container(func(c *corev1.Container) { c.Image = "" }), []string{"spec.containers[0].image: Required value"}},
		{"image with space", container(func(c *corev1.Container) { c.Image = " nginx:1" }),
			[]string{`spec.containers[0].image: Invalid value: " nginx:1": must not have leading or trailing whitespace`}},
		{"pull policy", container(func(c *corev1.Container) { c.ImagePullPolicy = "Sometimes" }),
			[]string{`spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"`}},
		{"termination policy", container(func(c *corev1.Container) { c.TerminationMessagePolicy = "x" }),
			[]string{`spec.containers[0].terminationMessagePolicy: Unsupported value: "x": supported values: "File", "FallbackToLogsOnError"`}},
		{"every error is named", func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{}, {Name: "a", Image: "b:1"}, {Name: "a"}}
		}, []string{
			"spec.containers[0].name: Required value", "spec.containers[0].image: Required value",
			"spec.containers[2].image: Required value", `spec.containers[2].name: Duplicate value: "a"`,
		}},
		{"a name is used once among all kinds", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "c", Image: "x:1"}}
		}, []string{`spec.initContainers[0].name: Duplicate value: "c"`}},
		{"probes of an init container", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "x:1", Lifecycle: &corev1.Lifecycle{}, ReadinessProbe: &corev1.Probe{}}}
		}, []string{
			"spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always",
			"spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
		}},
		{"a sidecar may have probes", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "x:1", RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways),
				StartupProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}}}}
		}, nil},
		{"ephemeral on create", func(p *corev1.Pod) {
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d", Image: "x:1", Ports: []corev1.ContainerPort{{ContainerPort: 1}}}, TargetContainerName: "z"}}
		}, []string{
			`spec.ephemeralContainers[0].targetContainerName: Not found: "z"`,
			"spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
			"spec.ephemeralContainers: Forbidden: cannot be set on create",
		}},
		{"ports", container(func(c *corev1.Container) {
			c.Ports = []corev1.ContainerPort{{}, {ContainerPort: 70000, HostPort: -1, Protocol: "ICMP", Name: "x"}, {ContainerPort: 1, HostPort: 9, Name: "x"}, {ContainerPort: 2, HostPort: 9, Name: "BAD_"}}
		}), []string{
			"spec.containers[0].ports[0].containerPort: Required value",
			"spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
			"spec.containers[0].ports[1].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
			`spec.containers[0].ports[1].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"`,
			`spec.containers[0].ports[2].name: Duplicate value: "x"`,
			`spec.containers[0].ports[3].name: Invalid value: "BAD_": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
			`spec.containers[0].ports[3].name: Invalid value: "BAD_": must contain at least one letter (a-z)`,
			`spec.containers[0].ports[3].hostPort: Duplicate value: "TCP//9"`,
		}},
		{"host network", func(p *corev1.Pod) {
			p.Spec.HostNetwork = true
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 81}}
		}, []string{"spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true"}},
		{"resources", container(func(c *corev1.Container) {
			c.Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("1"), "example.com/gpu": resource.MustParse("1"), "tea": resource.MustParse("1")}
			c.Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("-1"), "example.com/gpu": resource.MustParse("2")}
		}), []string{
			`spec.containers[0].resources.limits[tea]: Invalid value: "tea": must be a standard resource type or fully qualified`,
			`spec.containers[0].resources.limits[tea]: Invalid value: "tea": must be a standard resource for containers`,
			`spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`,
			`spec.containers[0].resources.requests: Invalid value: "2": must be equal to example.com/gpu limit of 1`,
			`spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0`,
			`spec.containers[0].resources.requests[tea]: Invalid value: "tea": must be a standard resource type or fully qualified`,
			`spec.containers[0].resources.requests[tea]: Invalid value: "tea": must be a standard resource for containers`,
		}},
		{"env", container(func(c *corev1.Container) {
			c.Env = []corev1.EnvVar{{}, {Name: "a=b"}, {Name: "X", Value: "v", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{}}},
				{Name: "Y", ValueFrom: &corev1.EnvVarSource{}}, {Name: "Z", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.restartPolicy"}}},
				{Name: "L", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['app']"}}},
				{Name: "R", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu", Divisor: resource.MustParse("5")}}}}
			c.EnvFrom = []corev1.EnvFromSource{{}}
		}), []string{
			"spec.containers[0].env[0].name: Required value",
			`spec.containers[0].env[1].name: Invalid value: "a=b": ` + validation.IsRelaxedEnvVarName("a=b")[0],
			`spec.containers[0].env[2].valueFrom.configMapKeyRef.name: Invalid value: "": ` + subdomainRule,
			"spec.containers[0].env[2].valueFrom.configMapKeyRef.key: Required value",
			"spec.containers[0].env[2].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
			"spec.containers[0].env[3].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
			`spec.containers[0].env[4].valueFrom.fieldRef.fieldPath: Unsupported value: "spec.restartPolicy": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"`,
			`spec.containers[0].env[6].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`,
			"spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
		}},
		{"probes", container(func(c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{SuccessThreshold: 2, TimeoutSeconds: -1}
			c.ReadinessProbe = &corev1.Probe{TerminationGracePeriodSeconds: ptr(int64(0)), ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(0), Scheme: "FTP"}, Exec: &corev1.ExecAction{}}}
			c.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("")}}}
		}), []string{
			"spec.containers[0].livenessProbe: Required value: must specify a handler type",
			"spec.containers[0].livenessProbe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0",
			"spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
			"spec.containers[0].readinessProbe.exec.command: Required value",
			"spec.containers[0].readinessProbe.httpGet: Forbidden: may not specify more than 1 handler type",
			"spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
			"spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must not be set for readinessProbes",
			`spec.containers[0].startupProbe.tcpSocket.port: Invalid value: "": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
			`spec.containers[0].startupProbe.tcpSocket.port: Invalid value: "": must contain at least one letter (a-z)`,
		}},
		{"security", container(func(c *corev1.Container) {
			c.SecurityContext = &corev1.SecurityContext{RunAsUser: ptr(int64(-1)), SeccompProfile: &corev1.SeccompProfile{Type: "Localhost"}, ProcMount: ptr(corev1.UnmaskedProcMount)}
		}), []string{
			"spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
			"spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
			"spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
		}},
	})
}

func TestVolumeErrors(t *testing.T) {
	volumes := func(list ...corev1.Volume) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Volumes = list }
	}
	empty := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	}
	runValidate(t, Pod, simplePod, []errorCase[*corev1.Pod]{
		{"names", volumes(empty("a"), empty("a"), empty(""), empty("B")), []string{
			`spec.volumes[1].name: Duplicate value: "a"`, "spec.volumes[2].name: Required value", `spec.volumes[3].name: Invalid value: "B": ` + labelRule,
		}},
		{"two sources", volumes(corev1.Volume{Name: "a", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}, Secret: &corev1.SecretVolumeSource{SecretName: "x"}}}),
			[]string{"spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"}},
		{"host path", volumes(corev1.Volume{Name: "a", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/a/../b", Type: ptr(corev1.HostPathType("Dir"))}}}), []string{
			`spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain '..'`,
			`spec.volumes[0].hostPath.type: Unsupported value: "Dir": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"`,
		}},
		{"secret", volumes(corev1.Volume{Name: "a", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{DefaultMode: ptr(int32(0o1000)), Items: []corev1.KeyToPath{{Path: "/x"}}}}}), []string{
			"spec.volumes[0].secret.secretName: Required value",
			"spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
			"spec.volumes[0].secret.items[0].key: Required value",
			`spec.volumes[0].secret.items[0].path: Invalid value: "/x": must be a relative path`,
		}},
		{"projected", volumes(corev1.Volume{Name: "a", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "x"}, Items: []corev1.KeyToPath{{Key: "a", Path: "same"}}}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "y"}, Items: []corev1.KeyToPath{{Key: "a", Path: "same"}}}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: ptr(int64(5))}},
		}}}}), []string{
			`spec.volumes[0].projected: Invalid value: "y": conflicting duplicate paths`,
			"spec.volumes[0].projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
			"spec.volumes[0].projected.path: Required value",
			"spec.volumes[0].projected.sources[2].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
		}},
		{"mounts", func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{empty("a")}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "a", MountPath: "/x"}, {Name: "b", MountPath: "/x", SubPath: "../y"}, {Name: "a", MountPropagation: ptr(corev1.MountPropagationBidirectional)}}
		}, []string{
			`spec.containers[0].volumeMounts[1].name: Not found: "b"`,
			`spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique`,
			`spec.containers[0].volumeMounts.subPath: Invalid value: "../y": must not contain '..'`,
			"spec.containers[0].volumeMounts[2].mountPath: Required value",
			"spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
		}},
	})
}

func TestPodSpecErrors(t *testing.T) {
	runValidate(t, Pod, simplePod, []errorCase[*corev1.Pod]{
		{"policies", func(p *corev1.Pod) { p.Spec.RestartPolicy, p.Spec.DNSPolicy = "Maybe", "None" }, []string{
			`spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"`,
			"spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
		}},
		{"names", func(p *corev1.Pod) { p.Spec.NodeName, p.Spec.Hostname = "Node_1", "a.b" }, []string{
			`spec.nodeName: Invalid value: "Node_1": ` + subdomainRule,
			`spec.hostname: Invalid value: "a.b": must not contain dots`,
		}},
		{"deadline", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr(int64(0)) },
			[]string{"spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"}},
		{"gates", func(p *corev1.Pod) {
			p.Spec.NodeName = "n1"
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "a/b"}, {Name: "a/b"}}
		}, []string{
			`spec.schedulingGates[1]: Duplicate value: "a/b"`,
			"spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
		}},
		{"tolerations", func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{Operator: "Equal"}, {Key: "a", Operator: "Exists", Value: "v", TolerationSeconds: ptr(int64(1)), Effect: "NoSchedule"}, {Key: "b", Operator: "Like"}}
		}, []string{
			"spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
			"spec.tolerations[1].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
			"spec.tolerations[1].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists'",
			`spec.tolerations[2].operator: Unsupported value: "Like": supported values: "Equal", "Exists"`,
		}},
		{"affinity", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{
				NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{}},
				PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 101, PodAffinityTerm: corev1.PodAffinityTerm{
					TopologyKey: "zone", MatchLabelKeys: []string{"v"}}}}},
			}
		}, []string{
			"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
			"spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100",
			"spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
		}},
		{"spread", func(p *corev1.Pod) {
			s := corev1.TopologySpreadConstraint{TopologyKey: "zone", WhenUnsatisfiable: "ScheduleAnyway", MinDomains: ptr(int32(2))}
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{s, s}
		}, []string{
			"spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
			`spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{zone, ScheduleAnyway}"`,
			"spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
			"spec.topologySpreadConstraints[1].maxSkew: Invalid value: 0: must be greater than zero",
			"spec.topologySpreadConstraints[1].minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
		}},
		{"security", func(p *corev1.Pod) {
			p.Spec.HostNetwork, p.Spec.HostUsers = true, ptr(false)
			p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr(int64(-1)), Sysctls: []corev1.Sysctl{{Name: "net.core.somaxconn", Value: "1"}, {Name: "kernel/shm_rmid_forced"}, {Name: "kernel/shm_rmid_forced"}}}
		}, []string{
			"spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive",
			`spec.securityContext.sysctls[0].name: Invalid value: "net.core.somaxconn": may not be specified when 'hostNetwork' is true`,
			`spec.securityContext.sysctls[2].name: Duplicate value: "kernel/shm_rmid_forced"`,
			"spec.hostNetwork: Forbidden: when `hostUsers` is false",
		}},
		{"host aliases", func(p *corev1.Pod) {
			p.Spec.HostAliases = []corev1.HostAlias{{IP: "010.0.0.1", Hostnames: []string{"A"}}}
		}, []string{
			`spec.hostAliases[0].ip: Invalid value: "010.0.0.1": must not have leading 0s`,
			`spec.hostAliases[0].hostnames[0]: Invalid value: "A": ` + subdomainRule,
		}},
		{"mirror pod without a node", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} },
			[]string{`metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set`}},
		{"linux pod with windows options", func(p *corev1.Pod) {
			p.Spec.OS = &corev1.PodOS{Name: "linux"}
			p.Spec.SecurityContext = &corev1.PodSecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{}}
		}, []string{"spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod"}},
	})
}

func TestPodUpdateErrors(t *testing.T) {
	base := func() *corev1.Pod {
		pod := simplePod()
		pod.Spec.Tolerations = []corev1.Toleration{{Key: "a", Operator: "Exists"}}
		pod.Spec.ActiveDeadlineSeconds = ptr(int64(100))
		return pod
	}
	runValidateUpdate(t, Pod, base, []errorCase[*corev1.Pod]{
		{"image, deadline, toleration", func(p *corev1.Pod) {
			p.Spec.Containers[0].Image = "nginx:2"
			p.Spec.ActiveDeadlineSeconds = ptr(int64(10))
			p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: "b", Operator: "Exists"})
		}, nil},
		{"metadata", func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"} }, nil},
		{"deadline grows", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr(int64(101)) },
			[]string{"spec.activeDeadlineSeconds: Invalid value: 101: must be less than or equal to previous value"}},
		{"toleration goes", func(p *corev1.Pod) { p.Spec.Tolerations = nil },
			[]string{"spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"}},
		{"gate comes", func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "a/b"}} },
			[]string{"spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a/b'"}},
		{"container comes", func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "d", Image: "x:1"})
		}, []string{"spec.containers: Forbidden: pod updates may not add or remove containers"}},
	})
}

func TestPodUpdateNamesTheChange(t *testing.T) {
	old, pod := simplePod(), simplePod()
	Pod.Default(old)
	Pod.Default(pod)
	pod.Spec.Containers[0].Command = []string{"sh"}
	got := texts(Pod.ValidateUpdate(pod, old))
	if len(got) != 1 {
		t.Fatalf("errors: %q", got)
	}
	const want = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
	if !strings.HasPrefix(got[0], want) || !strings.Contains(got[0], `"command"`) {
		t.Errorf("got %s", got[0])
	}
}

// A pod whose spec is invalid, written to etcd by hand, can still be labelled and annotated.
func TestPodUpdateLeavesAnOldError(t *testing.T) {
	old, pod := simplePod(), simplePod()
	for _, p := range []*corev1.Pod{old, pod} {
		Pod.Default(p)
		p.Spec.Containers[0].Name = "Not A Name"
	}
	pod.Labels = map[string]string{"a": "b"}
	if got := texts(Pod.ValidateUpdate(pod, old)); len(got) != 0 {
		t.Errorf("a label: %q", got)
	}
	pod.Spec.Containers[0].Image = "other:1"
	if got := texts(Pod.ValidateUpdate(pod, old)); len(got) != 1 || !strings.HasPrefix(got[0], "spec.containers[0].name: Invalid value") {
		t.Errorf("an image: %q", got)
	}
}

func TestPodStatusErrors(t *testing.T) {
	old, pod := simplePod(), simplePod()
	old.Spec.RestartPolicy, pod.Spec.RestartPolicy = "Never", "Never"
	old.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
	pod.Status = corev1.PodStatus{
		QOSClass:          "Guaranteed",
		ContainerStatuses: []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		PodIPs:            []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "10.0.0.2"}},
		HostIP:            "1.1.1.1", HostIPs: []corev1.HostIP{{IP: "2.2.2.2"}},
		Conditions: []corev1.PodCondition{{Type: "Ready"}, {Type: "bad condition"}},
	}
	want := []string{
		`status.conditions[1].Type: Invalid value: "bad condition": ` + validation.IsQualifiedName("bad condition")[0],
		`status.qosClass: Invalid value: "Guaranteed": field is immutable`,
		"status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
		`status.podIPs: Invalid value: [{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}]: may specify no more than one IP for each IP family`,
		"status.hostIPs[0].ip: Invalid value: \"2.2.2.2\": must be equal to `hostIP`",
	}
	if diff := cmp.Diff(want, texts(Pod.Subresource("status").Validate(pod, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEphemeralContainersAndResize(t *testing.T) {
	old := simplePod()
	Pod.Default(old)
	pod := old.DeepCopy()
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d", Image: "x:1"}}}
	pod.Spec.Containers[0].Image = "other:1"
	Pod.Default(pod)
	prepareEphemeralContainers(pod, old)
	if got := texts(validateEphemeralContainers(pod, old)); got != nil {
		t.Errorf("adding one: %q", got)
	}
	if pod.Spec.Containers[0].Image != "nginx:1" || pod.Generation != old.Generation+1 {
		t.Errorf("image %q, generation %d", pod.Spec.Containers[0].Image, pod.Generation)
	}
	if got := texts(validateEphemeralContainers(old, pod)); len(got) != 1 || !strings.Contains(got[0], `existing ephemeral containers "d" may not be removed`) {
		t.Errorf("removing one: %q", got)
	}

	old.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1")}
	more := old.DeepCopy()
	more.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("2")
	more.Spec.Containers[0].Image = "other:1"
	prepareResize(more, old)
	if got := texts(validateResize(more, old)); got != nil {
		t.Errorf("growing: %q", got)
	}
	gone := old.DeepCopy()
	gone.Spec.Containers[0].Resources.Requests = nil
	want := []string{
		`spec: Invalid value: "": Pod QOS Class may not change as a result of resizing`,
		"spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
	}
	if diff := cmp.Diff(want, texts(validateResize(gone, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTemplateErrors(t *testing.T) {
	tmpl := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b c"}}, Spec: simplePod().Spec}
	DefaultPodSpec(&tmpl.Spec)
	want := []string{`spec.template.labels: Invalid value: "b c": ` + validation.IsValidLabelValue("b c")[0]}
	var none []string
	p := specTemplate()
	if diff := cmp.Diff(want, texts(ValidatePodTemplate(tmpl, p))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	tmpl.Labels = nil
	if diff := cmp.Diff(none, texts(ValidatePodTemplate(tmpl, p))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
