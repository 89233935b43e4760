package check

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// The functions here agree with those of k8s.io/apimachinery/pkg/util/validation, which word the errors, and match no regular
// expression: nearly every text is without error.

// IsLabel tells whether s is a DNS label (IsDNS1123Label).
func IsLabel(s string) bool { return len(s) <= validation.DNS1123LabelMaxLength && plain(s, false) }

// IsSubdomain tells whether s is a DNS subdomain (IsDNS1123Subdomain).
func IsSubdomain(s string) bool {
	return len(s) <= validation.DNS1123SubdomainMaxLength && plain(s, true)
}

// IsQualified tells whether s is a name with an optional domain, as label keys are (IsQualifiedName).
func IsQualified(s string) bool {
	domain, name, both := strings.Cut(s, "/")
	return both && IsSubdomain(domain) && isName(name) || !both && isName(s)
}

// IsLabelValue tells whether s may be the value of a label (IsValidLabelValue).
func IsLabelValue(s string) bool { return s == "" || isName(s) }

// isName: up to 63 letters, digits, '-', '_' and '.', the first and the last a letter or digit.
func isName(s string) bool {
	if len(s) == 0 || len(s) > validation.LabelValueMaxLength || !alphanumeric(s[0]) || !alphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z'
}

// plain tells that value is a DNS label of any length, or labels with dots in between.
func plain(value string, dots bool) bool {
	inside := false // after a letter or digit of a label
	for i := range len(value) {
		switch b := value[i]; {
		case 'a' <= b && b <= 'z' || '0' <= b && b <= '9':
			inside = true
		case b == '-' && i > 0 && value[i-1] != '.' && i+1 < len(value) && value[i+1] != '.':
		case b == '.' && dots && inside:
			inside = false
		default:
			return false
		}
	}
	return inside
}
