package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/schema"
)

var serviceColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Type", corev1.ServiceSpec{}.SwaggerDoc()["type"]),
	schema.TextColumn("Cluster-IP", corev1.ServiceSpec{}.SwaggerDoc()["clusterIP"]),
	schema.TextColumn("External-IP", corev1.ServiceSpec{}.SwaggerDoc()["externalIPs"]),
	schema.TextColumn("Port(s)", corev1.ServiceSpec{}.SwaggerDoc()["ports"]),
	schema.AgeColumn(),
	schema.WideColumn("Selector", corev1.ServiceSpec{}.SwaggerDoc()["selector"]),
}

func serviceRow(obj schema.Object, now metav1.Time) []any {
	svc := obj.(*corev1.Service)
	clusterIP := schema.Unset
	if len(svc.Spec.ClusterIPs) > 0 {
		clusterIP = svc.Spec.ClusterIPs[0]
	}
	return []any{
		svc.Name,
		string(svc.Spec.Type),
		clusterIP,
		externalAddress(svc),
		schema.OrUnset(servicePorts(svc.Spec.Ports)),
		schema.Age(svc.CreationTimestamp, now),
		labels.FormatLabels(svc.Spec.Selector),
	}
}

// externalAddress is where the service is reached from outside the cluster.
func externalAddress(svc *corev1.Service) string {
	switch svc.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort:
		return schema.OrUnset(strings.Join(svc.Spec.ExternalIPs, ","))
	case corev1.ServiceTypeLoadBalancer:
		all := append(balancerAddresses(svc), svc.Spec.ExternalIPs...)
		if len(all) == 0 {
			return "<pending>"
		}
		return strings.Join(all, ",")
	case corev1.ServiceTypeExternalName:
		return svc.Spec.ExternalName
	}
	return "<unknown>"
}

// balancerAddresses are the load balancer's addresses and names, sorted, each once.
func balancerAddresses(svc *corev1.Service) []string {
	var all []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			all = append(all, in.IP)
		} else if in.Hostname != "" {
			all = append(all, in.Hostname)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// servicePorts is "80/TCP,443:30443/TCP".
func servicePorts(ports []corev1.ServicePort) string {
	texts := make([]string, len(ports))
	for i, p := range ports {
		if p.NodePort > 0 {
			texts[i] = fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol)
		} else {
			texts[i] = fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		}
	}
	return strings.Join(texts, ",")
}
