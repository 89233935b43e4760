package networking

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"gantry/schema/internal/check"
)

// policyCheck is one validation of a network policy.
type policyCheck struct {
	check.Errors
	selectors metavalidation.LabelSelectorValidationOptions
	known     check.Known // the ranges of the policy that is replaced
}

// validateNetworkPolicy checks that
//   - selectors are valid;
//   - a port is a number, a range of numbers, or a name;
//   - a peer is selectors or one range of addresses, whose exceptions are smaller ranges in it;
//   - there are two policy types at most.
func validateNetworkPolicy(np *networkingv1.NetworkPolicy) field.ErrorList {
	var c policyCheck
	c.checkSpec(&np.Spec)
	return c.List
}

// validateNetworkPolicyUpdate allows what the replaced policy has: ranges, and label values that are none where its pod selector
// has some.
func validateNetworkPolicyUpdate(np, old *networkingv1.NetworkPolicy) field.ErrorList {
	c := policyCheck{known: check.Known{}}
	c.selectors.AllowInvalidLabelValueInSelector = len(metavalidation.ValidateLabelSelector(&old.Spec.PodSelector, c.selectors, specPath)) > 0
	eachPeer(&old.Spec, func(peer *networkingv1.NetworkPolicyPeer, _ *field.Path) {
		if peer.IPBlock == nil {
			return
		}
		c.known[peer.IPBlock.CIDR] = true
		for _, except := range peer.IPBlock.Except {
			c.known[except] = true
		}
	})
	c.checkSpec(&np.Spec)
	return c.List
}

func (c *policyCheck) checkSpec(s *networkingv1.NetworkPolicySpec) {
	c.checkSelector(&s.PodSelector, specPath.Child("podSelector"))
	for i := range s.Ingress {
		p := specPath.Child("ingress").Index(i)
		c.checkRule(s.Ingress[i].Ports, s.Ingress[i].From, p.Child("ports"), p.Child("from"))
	}
	for i := range s.Egress {
		p := specPath.Child("egress").Index(i)
		c.checkRule(s.Egress[i].Ports, s.Egress[i].To, p.Child("ports"), p.Child("to"))
	}
	types := specPath.Child("policyTypes")
	if len(s.PolicyTypes) > 2 {
		c.Invalid(types, s.PolicyTypes, "may not specify more than two policyTypes")
		return
	}
	for i, t := range s.PolicyTypes {
		check.OneOf(&c.Errors, types.Index(i), t, networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	}
}

func (c *policyCheck) checkSelector(s *metav1.LabelSelector, p *field.Path) {
	c.Add(metavalidation.ValidateLabelSelector(s, c.selectors, p)...)
}

func (c *policyCheck) checkRule(ports []networkingv1.NetworkPolicyPort, peers []networkingv1.NetworkPolicyPeer, portList, peerList *field.Path) {
	for i := range ports {
		c.checkPort(&ports[i], portList.Index(i))
	}
	for i := range peers {
		c.checkPeer(&peers[i], peerList.Index(i))
	}
}

func (c *policyCheck) checkPort(port *networkingv1.NetworkPolicyPort, p *field.Path) {
	if port.Protocol != nil {
		check.OneOf(&c.Errors, p.Child("protocol"), *port.Protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
	}
	at, end := p.Child("port"), p.Child("endPort")
	switch {
	case port.Port == nil:
		if port.EndPort != nil {
			c.Invalid(end, *port.EndPort, "may not be specified when `port` is not specified")
		}
	case port.Port.Type == intstr.Int:
		c.Port(at, port.Port.IntVal)
		if port.EndPort != nil {
			if *port.EndPort < port.Port.IntVal {
				c.Invalid(end, port.Port.IntVal, "must be greater than or equal to `port`")
			}
			c.Port(end, *port.EndPort)
		}
	default:
		if port.EndPort != nil {
			c.Invalid(end, *port.EndPort, "may not be specified when `port` is non-numeric")
		}
		c.Each(at, port.Port.StrVal, validation.IsValidPortName(port.Port.StrVal))
	}
}

func (c *policyCheck) checkPeer(peer *networkingv1.NetworkPolicyPeer, p *field.Path) {
	selects := peer.PodSelector != nil || peer.NamespaceSelector != nil
	if peer.PodSelector != nil {
		c.checkSelector(peer.PodSelector, p.Child("podSelector"))
	}
	if peer.NamespaceSelector != nil {
		c.checkSelector(peer.NamespaceSelector, p.Child("namespaceSelector"))
	}
	if peer.IPBlock != nil {
		c.checkBlock(peer.IPBlock, p.Child("ipBlock"))
	}
	switch {
	case !selects && peer.IPBlock == nil:
		c.Required(p, "must specify a peer")
	case selects && peer.IPBlock != nil:
		c.Forbidden(p, "may not specify both ipBlock and another peer")
	}
}

func (c *policyCheck) checkBlock(b *networkingv1.IPBlock, p *field.Path) {
	cidr := p.Child("cidr")
	if !c.Set(cidr, b.CIDR) {
		return
	}
	c.CIDROrKnown(cidr, b.CIDR, c.known)
	_, outer, err := netutils.ParseCIDRSloppy(b.CIDR)
	if err != nil {
		return // an error already, save for a known one
	}
	bits, _ := outer.Mask.Size()
	for i, except := range b.Except {
		at := p.Child("except").Index(i)
		c.CIDROrKnown(at, except, c.known)
		_, inner, err := netutils.ParseCIDRSloppy(except)
		if err != nil {
			continue
		}
		if more, _ := inner.Mask.Size(); !outer.Contains(inner.IP) || bits >= more {
			c.Invalid(at, except, "must be a strict subset of `cidr`")
		}
	}
}
