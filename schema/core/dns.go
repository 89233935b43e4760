package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What resolvers can take.
const (
	maxNameservers      = 3
	maxSearchPaths      = 32
	maxSearchCharacters = 2048
)

func (c *podCheck) checkDNS(p *field.Path) {
	d := c.spec.DNSConfig
	if c.spec.DNSPolicy == corev1.DNSNone {
		if d == nil {
			c.Required(p, "must provide `dnsConfig` when `dnsPolicy` is None")
			return
		}
		if len(d.Nameservers) == 0 {
			c.Required(p.Child("nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None")
			return
		}
	}
	if d == nil {
		return
	}
	if len(d.Nameservers) > maxNameservers {
		c.Invalid(p.Child("nameservers"), d.Nameservers, fmt.Sprintf("must not have more than %v nameservers", maxNameservers))
	}
	for i, ns := range d.Nameservers {
		c.IP(p.Child("nameservers").Index(i), ns)
	}
	searches := p.Child("searches")
	if len(d.Searches) > maxSearchPaths {
		c.Invalid(searches, d.Searches, fmt.Sprintf("must not have more than %v search paths", maxSearchPaths))
	}
	if len(strings.Join(d.Searches, " ")) > maxSearchCharacters {
		c.Invalid(searches, d.Searches, fmt.Sprintf("must not have more than %v characters (including spaces) in the search list", maxSearchCharacters))
	}
	for i, s := range d.Searches {
		if s != "." {
			s = strings.TrimSuffix(s, ".")
			c.Each(searches.Index(i), s, validation.IsDNS1123SubdomainWithUnderscore(s))
		}
	}
	for i, o := range d.Options {
		if o.Name == "" {
			c.Required(p.Child("options").Index(i), "must not be empty")
		}
	}
}

func (c *podCheck) checkHostAliases(p *field.Path) {
	for i, a := range c.spec.HostAliases {
		c.IP(p.Index(i).Child("ip"), a.IP)
		for j, name := range a.Hostnames {
			c.Subdomain(p.Index(i).Child("hostnames").Index(j), name)
		}
	}
}
