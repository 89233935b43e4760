package certificates

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// The longest domain of a signer's name, and the longest name: its path has room for a name with its namespace.
const (
	maxDomain = validation.DNS1123SubdomainMaxLength
	maxSigner = maxDomain + 1 + validation.DNS1123SubdomainMaxLength + 1 + validation.DNS1123LabelMaxLength
)

// checkSigner requires "example.com/name". Of the parts of the domain, and of the path, the first that is wrong is told.
func checkSigner(f *check.Errors, name string, p *field.Path) {
	if !f.Set(p, name) {
		return
	}
	domain, path, _ := strings.Cut(name, "/")
	if strings.Count(name, "/") != 1 {
		f.Invalid(p, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
		return
	}
	if len(domain) > maxDomain {
		f.Add(field.TooLong(p, "", maxDomain))
	}
	firstWrong(f, p, domain, validation.IsDNS1123Label)
	if !strings.Contains(domain, ".") {
		f.Invalid(p, domain, "should be a domain with at least two segments separated by dots")
	}
	firstWrong(f, p, path, validation.IsDNS1123Subdomain)
	if len(name) > maxSigner {
		f.Add(field.TooLong(p, "", maxSigner))
	}
}

func firstWrong(f *check.Errors, p *field.Path, dotted string, rule func(string) []string) {
	for label := range strings.SplitSeq(dotted, ".") {
		wrong := rule(label)
		for _, text := range wrong {
			f.Invalid(p, dotted, fmt.Sprintf("validating label %q: %s", label, text))
		}
		if len(wrong) > 0 {
			return
		}
	}
}
