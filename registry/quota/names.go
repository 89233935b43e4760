package quota

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema"
)

// Tracks tells whether quotas count objects of k: all but those without a namespace and events.
func Tracks(k *schema.Kind) bool {
	return k.Namespaced && (k.Plural != "events" || k.Group != "" && k.Group != "events.k8s.io")
}

// CountName is the resource that is the number of objects of a kind: "count/deployments.apps".
func CountName(gr kschema.GroupResource) corev1.ResourceName {
	return corev1.ResourceName("count/" + gr.String())
}

// Uses tells whether objects of k can use a resource.
func Uses(k *schema.Kind, name corev1.ResourceName) bool {
	if text, ok := strings.CutPrefix(string(name), "count/"); ok {
		group, dotted := "", false
		if text, group, dotted = strings.Cut(text, "."); text != k.Plural {
			return false
		}
		return group == k.Group && dotted == (k.Group != "")
	}
	switch of(k) {
	case pods:
		return slices.Contains(podResources, name) || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) ||
			strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix) || isExtendedRequest(name)
	case services:
		return name == corev1.ResourceServices || name == corev1.ResourceServicesNodePorts || name == corev1.ResourceServicesLoadBalancers
	case volumeClaims:
		return name == corev1.ResourcePersistentVolumeClaims || name == corev1.ResourceRequestsStorage ||
			strings.HasSuffix(string(name), classSuffix+string(corev1.ResourcePersistentVolumeClaims)) ||
			strings.HasSuffix(string(name), classSuffix+string(corev1.ResourceRequestsStorage))
	case deviceClaims:
		return strings.HasSuffix(string(name), corev1.ResourceClaimsPerClass) || isExtendedRequest(name)
	case named:
		return string(name) == k.Plural
	}
	return false
}

// Names are the resources of list that objects of k can use, sorted.
func Names(k *schema.Kind, list corev1.ResourceList) (names []corev1.ResourceName) {
	for name := range list {
		if Uses(k, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// measure is how the usage of a kind's objects is measured.
type measure int

const (
	counted measure = iota // by count/<resource> alone
	named                  // also by the resource's own name, from before there was count/
	pods
	services
	volumeClaims
	deviceClaims
)

func of(k *schema.Kind) measure {
	switch k.Group {
	case "":
		switch k.Plural {
		case "pods":
			return pods
		case "services":
			return services
		case "persistentvolumeclaims":
			return volumeClaims
		case "configmaps", "secrets", "replicationcontrollers", "resourcequotas":
			return named
		}
	case resourcev1.GroupName:
		if k.Plural == "resourceclaims" {
			return deviceClaims
		}
	}
	return counted
}

// isExtendedRequest tells whether a resource of a quota is the request of an extended resource: "requests.example.com/gpu".
func isExtendedRequest(name corev1.ResourceName) bool {
	text := string(name)
	native := !strings.Contains(text, "/") || strings.Contains(text, corev1.ResourceDefaultNamespacePrefix)
	return strings.HasPrefix(text, corev1.DefaultResourceRequestsPrefix) &&
		(!native || strings.HasPrefix(text, corev1.ResourceImplicitExtendedClaimsPerClass))
}

// CountsAll tells whether each object of k uses one of every resource named.
func CountsAll(k *schema.Kind, names []corev1.ResourceName) bool {
	return !slices.ContainsFunc(names, func(name corev1.ResourceName) bool {
		return !strings.HasPrefix(string(name), "count/") && of(k) != named
	})
}
