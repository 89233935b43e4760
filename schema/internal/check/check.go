// Package check gathers the faults of an object. A rule is one line: a method of Faults names the kind of fault, the
// path and what is wrong; nothing stops at the first one. Texts are those of k8s.io/apimachinery's field errors.
package check

import (
	"fmt"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// Path is a field's place in an object.
type Path = field.Path

// Faults is what is wrong with an object, in the order found. The zero value is ready.
type Faults struct {
	// List has MaxFaults and one that stands for the others; Add alone appends to it.
	List  field.ErrorList
	count int // of all
}

// Add takes faults found elsewhere.
func (f *Faults) Add(errs ...*field.Error) {
	for _, err := range errs {
		n := weight(err)
		f.count += n
		switch {
		case len(f.List) < MaxFaults && err.Field != unlisted:
			f.List = append(f.List, err)
		case len(f.List) > 0 && f.List[len(f.List)-1].Field == unlisted:
			f.List[len(f.List)-1] = more(weight(f.List[len(f.List)-1]) + n)
		default:
			f.List = append(f.List, more(n))
		}
	}
}

// Count is how many faults were found.
func (f *Faults) Count() int { return f.count }

// Full tells that no more faults are listed: a text that takes time need not be made.
func (f *Faults) Full() bool { return len(f.List) >= MaxFaults }

// Required says that a field is absent; detail may be "".
func (f *Faults) Required(p *Path, detail string) { f.Add(field.Required(p, detail)) }

// Invalid says what is wrong with a value.
func (f *Faults) Invalid(p *Path, value any, detail string) { f.Add(field.Invalid(p, value, detail)) }

// Forbidden says why a field may not be there.
func (f *Faults) Forbidden(p *Path, detail string) { f.Add(field.Forbidden(p, detail)) }

// Duplicate says that a value is there twice.
func (f *Faults) Duplicate(p *Path, value any) { f.Add(field.Duplicate(p, value)) }

// NotFound says that a value names nothing.
func (f *Faults) NotFound(p *Path, value any) { f.Add(field.NotFound(p, value)) }

// Each is Invalid for every message of a check of k8s.io/apimachinery.
func (f *Faults) Each(p *Path, value any, messages []string) {
	for _, m := range messages {
		f.Invalid(p, value, m)
	}
}

// Set requires a text and returns whether it is there.
func (f *Faults) Set(p *Path, value string) bool {
	if value == "" {
		f.Required(p, "")
	}
	return value != ""
}

// Label requires value to be a DNS label, as names of containers and volumes are.
func (f *Faults) Label(p *Path, value string) {
	if IsLabel(value) {
		return
	}
	for _, m := range validation.IsDNS1123Label(value) {
		f.Add(field.Invalid(p, value, m))
	}
}

// Subdomain requires value to be a DNS subdomain, as names of most objects are.
func (f *Faults) Subdomain(p *Path, value string) {
	if IsSubdomain(value) {
		return
	}
	for _, m := range validation.IsDNS1123Subdomain(value) {
		f.Add(field.Invalid(p, value, m))
	}
}

// Named requires the child of parent to be there and a DNS label. The path is made only for a fault.
func (f *Faults) Named(parent *Path, child, value string) {
	if IsLabel(value) {
		return
	}
	if p := parent.Child(child); f.Set(p, value) {
		f.Label(p, value)
	}
}

// Qualified requires value to be a name with an optional domain, as label keys are.
func (f *Faults) Qualified(p *Path, value string) {
	if IsQualified(value) {
		return
	}
	for _, m := range validation.IsQualifiedName(value) {
		f.Add(field.Invalid(p, value, m))
	}
}

// NotNegative requires n >= 0.
func (f *Faults) NotNegative(p *Path, n int64) {
	f.Add(apivalidation.ValidateNonnegativeField(n, p)...)
}

// Positive requires n > 0.
func (f *Faults) Positive(p *Path, n int64) {
	if n <= 0 {
		f.Invalid(p, n, "must be greater than zero")
	}
}

// Range requires lo <= n <= hi.
func (f *Faults) Range(p *Path, n, lo, hi int64) {
	if n < lo || n > hi {
		f.Invalid(p, n, validation.InclusiveRangeError(int(lo), int(hi)))
	}
}

// Port requires a port number.
func (f *Faults) Port(p *Path, n int32) {
	for _, m := range validation.IsValidPortNum(int(n)) {
		f.Add(field.Invalid(p, n, m))
	}
}

// Known is what an update replaces, which stays allowed where Kubernetes came to forbid it later.
type Known map[string]bool

// KnownOf is what is known of a list; text is an element's.
func KnownOf[T any](list []T, text func(T) string) Known {
	k := make(Known, len(list))
	for _, v := range list {
		k[text(v)] = true
	}
	return k
}

// IP requires an address in its canonical form.
func (f *Faults) IP(p *Path, value string) { f.IPOrKnown(p, value, nil) }

// IPOrKnown is IP for an address that is not known.
func (f *Faults) IPOrKnown(p *Path, value string, known Known) {
	if !known[value] {
		f.Add(validation.IsValidIPForLegacyField(p, value, true, nil)...)
	}
}

// CIDR requires a range in its canonical form.
func (f *Faults) CIDR(p *Path, value string) { f.CIDROrKnown(p, value, nil) }

// CIDROrKnown is CIDR for a range that is not known.
func (f *Faults) CIDROrKnown(p *Path, value string, known Known) {
	if !known[value] {
		f.Add(validation.IsValidCIDRForLegacyField(p, value, true, nil)...)
	}
}

// EndpointIP requires an address that traffic may be sent to: none of the node's own or its link's.
func (f *Faults) EndpointIP(p *Path, value string) {
	ip := netutils.ParseIPSloppy(value)
	if ip == nil {
		f.Invalid(p, value, "must be a valid IP address")
		return
	}
	for _, r := range []struct {
		in   bool
		what string
	}{
		{ip.IsUnspecified(), fmt.Sprintf("unspecified (%v)", value)},
		{ip.IsLoopback(), "in the loopback range (127.0.0.0/8, ::1/128)"},
		{ip.IsLinkLocalUnicast(), "in the link-local range (169.254.0.0/16, fe80::/10)"},
		{ip.IsLinkLocalMulticast(), "in the link-local multicast range (224.0.0.0/24, ff02::/10)"},
	} {
		if r.in {
			f.Invalid(p, value, "may not be "+r.what)
		}
	}
}

// Same requires value to be what it was.
func (f *Faults) Same(p *Path, value, old any) {
	f.Add(apivalidation.ValidateImmutableField(value, old, p)...)
}

// OneOf requires value to be one of allowed, which are given in the order the fault names them.
func OneOf[T ~string](f *Faults, p *Path, value T, allowed ...T) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	f.Add(field.NotSupported(p, value, allowed))
}

// SetOneOf is OneOf for a value that must be there.
func SetOneOf[T ~string](f *Faults, p *Path, value T, allowed ...T) {
	if f.Set(p, string(value)) {
		OneOf(f, p, value, allowed...)
	}
}

// WarnIP returns what is unwise about an address: a form that some read otherwise. A text that is no address is a
// fault for validation and no warning.
func WarnIP(p *Path, value string) []string {
	if netutils.ParseIPSloppy(value) == nil {
		return nil
	}
	return validation.GetWarningsForIP(p, value)
}

// WarnCIDR is WarnIP for a range.
func WarnCIDR(p *Path, value string) []string {
	if _, _, err := netutils.ParseCIDRSloppy(value); err != nil {
		return nil
	}
	return validation.GetWarningsForCIDR(p, value)
}
