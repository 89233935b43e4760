package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func defaultService(svc *corev1.Service) {
	spec := &svc.Spec
	setIfZero(&spec.SessionAffinity, corev1.ServiceAffinityNone)
	setIfZero(&spec.Type, corev1.ServiceTypeClusterIP)
	switch spec.SessionAffinity {
	case corev1.ServiceAffinityNone:
		spec.SessionAffinityConfig = nil
	case corev1.ServiceAffinityClientIP:
		if c := spec.SessionAffinityConfig; c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil {
			seconds := corev1.DefaultClientIPServiceAffinitySeconds
			spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
		}
	}
	for i := range spec.Ports {
		p := &spec.Ports[i]
		setIfZero(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if externallyAccessible(spec) {
		setIfZero(&spec.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	switch spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		SetIfNil(&spec.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	case corev1.ServiceTypeExternalName:
		spec.InternalTrafficPolicy = nil // Kubernetes hides it where it has no meaning
	}
	if spec.Type == corev1.ServiceTypeLoadBalancer {
		SetIfNil(&spec.AllocateLoadBalancerNodePorts, true)
		for i := range svc.Status.LoadBalancer.Ingress {
			if in := &svc.Status.LoadBalancer.Ingress[i]; in.IP != "" {
				SetIfNil(&in.IPMode, corev1.LoadBalancerIPModeVIP)
			}
		}
	}
}

// prepareServiceCreate keeps addresses and ports: the registry allocates them.
func prepareServiceCreate(svc *corev1.Service) {
	svc.Status = corev1.ServiceStatus{}
	if svc.Spec.ClusterIP != "" && len(svc.Spec.ClusterIPs) == 0 {
		svc.Spec.ClusterIPs = []string{svc.Spec.ClusterIP}
	}
}

// prepareServiceUpdate keeps allocated values that a client leaves out (keepAllocated), and drops them where the new type does not use
// them (dropUnneeded).
func prepareServiceUpdate(svc, old *corev1.Service) {
	svc.Status = old.Status
	keepAllocated(&svc.Spec, &old.Spec)
	linkClusterIPs(&svc.Spec, &old.Spec)
	dropUnneeded(&svc.Spec, &old.Spec)
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		svc.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	}
}

func prepareServiceStatus(svc, old *corev1.Service) {
	svc.Spec = old.Spec
}

// keepAllocated copies from old what was allocated and spec leaves out.
func keepAllocated(spec, old *corev1.ServiceSpec) {
	if needsClusterIP(spec) && needsClusterIP(old) {
		setIfZero(&spec.ClusterIP, old.ClusterIP)
		if len(spec.ClusterIPs) == 0 {
			spec.ClusterIPs = slices.Clone(old.ClusterIPs)
		}
		if len(spec.IPFamilies) == 0 {
			spec.IPFamilies = slices.Clone(old.IPFamilies)
		}
		if spec.IPFamilyPolicy == nil && old.IPFamilyPolicy != nil {
			SetIfNil(&spec.IPFamilyPolicy, *old.IPFamilyPolicy)
		}
	}
	if allocatesNodePorts(spec) && allocatesNodePorts(old) {
		keepNodePorts(spec.Ports, old.Ports)
	}
	if needsHealthPort(spec) && needsHealthPort(old) {
		setIfZero(&spec.HealthCheckNodePort, old.HealthCheckNodePort)
	}
}

// keepNodePorts gives ports without a node port the one their name had, unless another port names it now.
func keepNodePorts(ports, old []corev1.ServicePort) {
	byName := make(map[string]int32, len(old))
	was := make(map[int32]bool, len(old))
	for i := range old {
		byName[old[i].Name] = old[i].NodePort
		was[old[i].NodePort] = true
	}
	taken := map[int32]bool{}
	for i := range ports {
		if was[ports[i].NodePort] {
			taken[ports[i].NodePort] = true
		}
	}
	for i := range ports {
		if p := byName[ports[i].Name]; ports[i].NodePort == 0 && !taken[p] {
			ports[i].NodePort = p
		}
	}
}

// linkClusterIPs sets clusterIPs where a client that does not know them changed clusterIP only.
func linkClusterIPs(spec, old *corev1.ServiceSpec) {
	if spec.ClusterIP == old.ClusterIP || !slices.Equal(spec.ClusterIPs, old.ClusterIPs) {
		return
	}
	spec.ClusterIPs = nil
	if spec.ClusterIP != "" {
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
}

// dropUnneeded clears what the change of type leaves without use, where the client did not change it as well (then
// validation says so).
func dropUnneeded(spec, old *corev1.ServiceSpec) {
	if needsClusterIP(old) && !needsClusterIP(spec) {
		dropClusterIPs(spec, old)
	}
	if needsNodePort(old) && !needsNodePort(spec) && !addsNodePorts(spec.Ports, old.Ports) {
		for i := range spec.Ports {
			spec.Ports[i].NodePort = 0
		}
	}
	if needsHealthPort(old) && !needsHealthPort(spec) && spec.HealthCheckNodePort == old.HealthCheckNodePort {
		spec.HealthCheckNodePort = 0
	}
	if old.Type == corev1.ServiceTypeLoadBalancer && spec.Type != corev1.ServiceTypeLoadBalancer {
		if a, b := spec.AllocateLoadBalancerNodePorts, old.AllocateLoadBalancerNodePorts; a != nil && b != nil && *a == *b {
			spec.AllocateLoadBalancerNodePorts = nil
		}
		if a, b := spec.LoadBalancerClass, old.LoadBalancerClass; a != nil && b != nil && *a == *b {
			spec.LoadBalancerClass = nil
		}
	}
	if externallyAccessible(old) && !externallyAccessible(spec) && spec.ExternalTrafficPolicy == old.ExternalTrafficPolicy {
		spec.ExternalTrafficPolicy = ""
	}
}

func dropClusterIPs(spec, old *corev1.ServiceSpec) {
	if spec.ClusterIP == old.ClusterIP && slices.Equal(spec.ClusterIPs, old.ClusterIPs) {
		spec.ClusterIP, spec.ClusterIPs = "", nil
	}
	if slices.Equal(spec.IPFamilies, old.IPFamilies) {
		spec.IPFamilies = nil
	}
	if a, b := spec.IPFamilyPolicy, old.IPFamilyPolicy; a != nil && b != nil && *a == *b {
		spec.IPFamilyPolicy = nil
	}
}

func addsNodePorts(ports, old []corev1.ServicePort) bool {
	was := make(map[int32]bool, len(old))
	for i := range old {
		was[old[i].NodePort] = true
	}
	return slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return p.NodePort != 0 && !was[p.NodePort] })
}

func needsClusterIP(spec *corev1.ServiceSpec) bool {
	return spec.Type != corev1.ServiceTypeExternalName
}

func needsNodePort(spec *corev1.ServiceSpec) bool {
	return spec.Type == corev1.ServiceTypeNodePort || spec.Type == corev1.ServiceTypeLoadBalancer
}

// allocatesNodePorts is needsNodePort but for a load balancer that asks for none.
func allocatesNodePorts(spec *corev1.ServiceSpec) bool {
	return needsNodePort(spec) && (spec.Type == corev1.ServiceTypeNodePort ||
		spec.AllocateLoadBalancerNodePorts == nil || *spec.AllocateLoadBalancerNodePorts)
}

func needsHealthPort(spec *corev1.ServiceSpec) bool {
	return spec.Type == corev1.ServiceTypeLoadBalancer && spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// externallyAccessible tells whether clients outside the cluster are meant to reach the Service.
func externallyAccessible(spec *corev1.ServiceSpec) bool {
	return needsNodePort(spec) || spec.Type == corev1.ServiceTypeClusterIP && len(spec.ExternalIPs) > 0
}
