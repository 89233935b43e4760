package networking

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

// NetworkPolicy is the kind of networkpolicies.
var NetworkPolicy = &schema.Kind{
	Version: schema.Version{
		Group: networkingv1.GroupName, Version: "v1", Kind: "NetworkPolicy",
		New:     func() schema.Object { return &networkingv1.NetworkPolicy{} },
		NewList: func() runtime.Object { return &networkingv1.NetworkPolicyList{} },
		Columns: networkPolicyColumns, Row: networkPolicyRow,
		Default: schema.Preparation(defaultNetworkPolicy),
	},
	Plural: "networkpolicies", Singular: "networkpolicy", ShortNames: []string{"netpol"}, Categories: []string{},
	Namespaced: true,
	Prefix:     "networkpolicies",

	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(func(np *networkingv1.NetworkPolicy) { np.Generation = 1 }),
	PrepareUpdate:  schema.UpdatePreparation(prepareNetworkPolicyUpdate),
	Validate:       schema.Validation(validateNetworkPolicy),
	ValidateUpdate: schema.UpdateValidation(validateNetworkPolicyUpdate),
	Warnings:       schema.Warnings(networkPolicyWarnings),
}

// defaultNetworkPolicy sets the policy types: egress is one of them only where there are egress rules.
func defaultNetworkPolicy(np *networkingv1.NetworkPolicy) {
	if len(np.Spec.PolicyTypes) == 0 {
		np.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(np.Spec.Egress) > 0 {
			np.Spec.PolicyTypes = append(np.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
	for i := range np.Spec.Ingress {
		defaultPolicyPorts(np.Spec.Ingress[i].Ports)
	}
	for i := range np.Spec.Egress {
		defaultPolicyPorts(np.Spec.Egress[i].Ports)
	}
}

func defaultPolicyPorts(ports []networkingv1.NetworkPolicyPort) {
	for i := range ports {
		if ports[i].Protocol == nil {
			tcp := corev1.ProtocolTCP
			ports[i].Protocol = &tcp
		}
	}
}

// prepareNetworkPolicyUpdate counts changes of the spec as it is written: an empty list differs from none.
func prepareNetworkPolicyUpdate(np, old *networkingv1.NetworkPolicy) {
	np.Generation = old.Generation
	if !reflect.DeepEqual(np.Spec, old.Spec) {
		np.Generation++
	}
}

func networkPolicyWarnings(np, _ *networkingv1.NetworkPolicy) (w []string) {
	eachPeer(&np.Spec, func(peer *networkingv1.NetworkPolicyPeer, p *field.Path) {
		if block := peer.IPBlock; block != nil {
			at := p.Child("ipBlock")
			w = append(w, check.WarnCIDR(at.Child("cidr"), block.CIDR)...)
			for i, except := range block.Except {
				w = append(w, check.WarnCIDR(at.Child("except").Index(i), except)...)
			}
		}
	})
	return w
}

// eachPeer calls visit for the peers of all rules, in order, with their paths.
func eachPeer(spec *networkingv1.NetworkPolicySpec, visit func(*networkingv1.NetworkPolicyPeer, *field.Path)) {
	each := func(peers []networkingv1.NetworkPolicyPeer, list *field.Path) {
		for i := range peers {
			visit(&peers[i], list.Index(i))
		}
	}
	for i := range spec.Ingress {
		each(spec.Ingress[i].From, specPath.Child("ingress").Index(i).Child("from"))
	}
	for i := range spec.Egress {
		each(spec.Egress[i].To, specPath.Child("egress").Index(i).Child("to"))
	}
}
