// Package check collects the field errors of an object. A rule is one line: a method of Errors for the type of error, with the path
// and the detail; nothing stops at the first one. Texts are those of k8s.io/apimachinery's field errors.
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

// Errors are the field errors of an object, in the order found. The zero value is ready.
type Errors struct {
	// List has MaxErrors and one that stands for the others; Add alone appends to it.
	List  field.ErrorList
	count int // of all
}

// Add takes errors found elsewhere.
func (f *Errors) Add(errs ...*field.Error) {
	for _, err := range errs {
		n := weight(err)
		f.count += n
		switch {
		case len(f.List) < MaxErrors && err.Field != unlisted:
			f.List = append(f.List, err)
		case len(f.List) > 0 && f.List[len(f.List)-1].Field == unlisted:
			f.List[len(f.List)-1] = more(weight(f.List[len(f.List)-1]) + n)
		default:
			f.List = append(f.List, more(n))
		}
	}
}

// Count is how many errors were found.
func (f *Errors) Count() int { return f.count }

// Full tells that no more errors are listed: a detail that takes time to make can be left out.
func (f *Errors) Full() bool { return len(f.List) >= MaxErrors }

// Required says that a field is absent; detail may be "".
func (f *Errors) Required(p *Path, detail string) { f.Add(field.Required(p, detail)) }

// Invalid says what is wrong with a value.
func (f *Errors) Invalid(p *Path, value any, detail string) { f.Add(field.Invalid(p, value, detail)) }

// Forbidden says why a field may not be there.
func (f *Errors) Forbidden(p *Path, detail string) { f.Add(field.Forbidden(p, detail)) }

// Duplicate says that a value is there twice.
func (f *Errors) Duplicate(p *Path, value any) { f.Add(field.Duplicate(p, value)) }

// NotFound says that a value names nothing.
func (f *Errors) NotFound(p *Path, value any) { f.Add(field.NotFound(p, value)) }

// Each is Invalid for every message of a check of k8s.io/apimachinery.
func (f *Errors) Each(p *Path, value any, messages []string) {
	for _, m := range messages {
		f.Invalid(p, value, m)
	}
}

// Set requires a text and returns whether it is there.
func (f *Errors) Set(p *Path, value string) bool {
	if value == "" {
		f.Required(p, "")
	}
	return value != ""
}

// Label requires value to be a DNS label, as names of containers and volumes are.
func (f *Errors) Label(p *Path, value string) {
	if IsLabel(value) {
		return
	}
	for _, m := range validation.IsDNS1123Label(value) {
		f.Add(field.Invalid(p, value, m))
	}
}

// Subdomain requires value to be a DNS subdomain, as names of most objects are.
func (f *Errors) Subdomain(p *Path, value string) {
	if IsSubdomain(value) {
		return
	}
	for _, m := range validation.IsDNS1123Subdomain(value) {
		f.Add(field.Invalid(p, value, m))
	}
}

// Named requires the child of parent to be there and a DNS label. The path is made only for an error.
func (f *Errors) Named(parent *Path, child, value string) {
	if IsLabel(value) {
		return
	}
	if p := parent.Child(child); f.Set(p, value) {
		f.Label(p, value)
	}
}

// Qualified requires value to be a name with an optional domain, as label keys are.
func (f *Errors) Qualified(p *Path, value string) {
	if IsQualified(value) {
		return
	}
	for _, m := range validation.IsQualifiedName(value) {
		f.Add(field.Invalid(p, value, m))
	}
}

// NotNegative requires n >= 0.
func (f *Errors) NotNegative(p *Path, n int64) {
	f.Add(apivalidation.ValidateNonnegativeField(n, p)...)
}

// Positive requires n > 0.
func (f *Errors) Positive(p *Path, n int64) {
	if n <= 0 {
		f.Invalid(p, n, "must be greater than zero")
	}
}

// Range requires lo <= n <= hi.
func (f *Errors) Range(p *Path, n, lo, hi int64) {
	if n < lo || n > hi {
		f.Invalid(p, n, validation.InclusiveRangeError(int(lo), int(hi)))
	}
}

// Port requires a port number.
func (f *Errors) Port(p *Path, n int32) {
	for _, m := range validation.IsValidPortNum(int(n)) {
		f.Add(field.Invalid(p, n, m))
	}
}

// Known are the values of the object that an update replaces. They stay allowed where a later version of Kubernetes forbids them.
type Known map[string]bool

// KnownOf returns the values of a list; text is an element's value.
func KnownOf[T any](list []T, text func(T) string) Known {
	k := make(Known, len(list))
	for _, v := range list {
		k[text(v)] = true
	}
	return k
}

// IP requires an address in its canonical form.
func (f *Errors) IP(p *Path, value string) { f.IPOrKnown(p, value, nil) }

// IPOrKnown is IP, but a known address is always allowed.
func (f *Errors) IPOrKnown(p *Path, value string, known Known) {
	if !known[value] {
		f.Add(validation.IsValidIPForLegacyField(p, value, true, nil)...)
	}
}

// CIDR requires a range in its canonical form.
func (f *Errors) CIDR(p *Path, value string) { f.CIDROrKnown(p, value, nil) }

// CIDROrKnown is CIDR, but a known range is always allowed.
func (f *Errors) CIDROrKnown(p *Path, value string, known Known) {
	if !known[value] {
		f.Add(validation.IsValidCIDRForLegacyField(p, value, true, nil)...)
	}
}

// EndpointIP requires an address that traffic may be sent to: none of the node's own or its link's.
func (f *Errors) EndpointIP(p *Path, value string) {
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
func (f *Errors) Same(p *Path, value, old any) {
	for _, err := range apivalidation.ValidateImmutableField(value, old, p) {
		err.BadValue = Quoted(value)
		f.Add(err)
	}
}

// OneOf requires value to be one of allowed, which are given in the order the error names them.
func OneOf[T ~string](f *Errors, p *Path, value T, allowed ...T) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	f.Add(field.NotSupported(p, value, allowed))
}

// SetOneOf is OneOf for a value that must be there.
func SetOneOf[T ~string](f *Errors, p *Path, value T, allowed ...T) {
	if f.Set(p, string(value)) {
		OneOf(f, p, value, allowed...)
	}
}

// WarnIP returns warnings about an address: a form that other programs read as another address. A text that is no address is an error
// and no warning.
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
