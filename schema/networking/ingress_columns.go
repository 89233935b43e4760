package networking

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var ingressColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Class", "The name of the IngressClass resource that should be used for additional configuration"),
	schema.TextColumn("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
	schema.TextColumn("Address", "Address is a list containing ingress points for the load-balancer"),
	schema.TextColumn("Ports", "Ports of TLS configurations that open"),
	schema.AgeColumn(),
}

func ingressRow(obj schema.Object, now metav1.Time) []any {
	in := obj.(*networkingv1.Ingress)
	class, ports := schema.Unset, "80"
	if in.Spec.IngressClassName != nil {
		class = *in.Spec.IngressClassName
	}
	if len(in.Spec.TLS) > 0 {
		ports = "80, 443"
	}
	return []any{in.Name, class, hostTexts(in.Spec.Rules), addresses(in.Status.LoadBalancer.Ingress), ports, schema.Age(in.CreationTimestamp, now)}
}

// hostTexts is the hosts of the first three rules that have one. What is left is counted in rules, with and without a host.
func hostTexts(rules []networkingv1.IngressRule) string {
	const shown = 3
	var hosts []string
	for _, r := range rules {
		if len(hosts) == shown {
			return fmt.Sprintf("%s + %d more...", strings.Join(hosts, ","), len(rules)-shown)
		}
		if r.Host != "" {
			hosts = append(hosts, r.Host)
		}
	}
	if len(hosts) == 0 {
		return "*"
	}
	return strings.Join(hosts, ",")
}

// addresses are the load balancer's addresses and names, sorted, each once.
func addresses(list []networkingv1.IngressLoadBalancerIngress) string {
	var all []string
	for _, at := range list {
		if at.IP != "" {
			all = append(all, at.IP)
		} else if at.Hostname != "" {
			all = append(all, at.Hostname)
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}
