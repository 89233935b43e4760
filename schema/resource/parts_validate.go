package resource

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/cel"
	"gantry/schema/core"
	"gantry/schema/internal/check"
)

const (
	maxDriver     = 63 // bytes, also of the domain of an attribute
	maxPool       = validation.DNS1123SubdomainMaxLength
	maxIdentifier = 32        // bytes
	maxExpression = 10 * 1024 // bytes
	maxParameters = 10 * 1024 // bytes
	maxBinding    = 4
)

// checkSelectors compiles the expressions of selectors. Those that are stored already may use what new ones may not.
func checkSelectors(f *check.Errors, budget *cel.Budget, list []resourcev1.DeviceSelector, stored bool, p *field.Path) {
	each(f, list, maxSelectors, p, func(s *resourcev1.DeviceSelector, at *field.Path) {
		expression := at.Child("cel", "expression")
		switch {
		case s.CEL == nil:
			f.Required(at.Child("cel"), "")
		case len(s.CEL.Expression) > maxExpression:
			f.Add(field.TooLong(expression, "", maxExpression))
		case f.Full(): // compiling takes time
		default:
			if device, err := cel.CompileDevice(budget, s.CEL.Expression, stored); err != nil {
				f.Add(cel.FieldError(expression, s.CEL.Expression, err))
			} else if cel.TooComplex(device) {
				f.Forbidden(expression, "too complex, exceeds cost limit")
			}
		}
	})
}

func checkConfig(f *check.Errors, c *resourcev1.DeviceConfiguration, stored bool, p *field.Path) {
	if c.Opaque == nil {
		f.Required(p.Child("opaque"), "")
		return
	}
	core.CheckDriverName(f, c.Opaque.Driver, p.Child("opaque", "driver"))
	most := maxParameters
	if stored {
		most = math.MaxInt
	}
	checkObject(f, c.Opaque.Parameters.Raw, most, p.Child("opaque", "parameters"))
}

// checkObject requires a JSON object of at most so many bytes.
func checkObject(f *check.Errors, raw []byte, most int, p *field.Path) {
	var value any
	if len(raw) == 0 {
		f.Required(p, "")
	} else if len(raw) > most {
		f.Add(field.TooLong(p, "", most))
	} else if err := json.Unmarshal(raw, &value); err != nil {
		f.Invalid(p, "<value omitted>", fmt.Sprintf("error parsing data as JSON: %v", err))
	} else if value == nil {
		f.Required(p, "")
	} else if _, is := value.(map[string]any); !is {
		f.Invalid(p, "<value omitted>", "must be a valid JSON object")
	}
}

// checkPool requires subdomains separated by slashes.
func checkPool(f *check.Errors, name string, p *field.Path) {
	if !f.Set(p, name) {
		return
	}
	if len(name) > maxPool {
		f.Add(field.TooLong(p, "", maxPool))
	}
	for part := range strings.SplitSeq(name, "/") {
		f.Subdomain(p, part)
	}
}

// checkUID requires the usual form of a UUID.
func checkUID(f *check.Errors, uid string, p *field.Path) {
	switch n := len(uid); {
	case n != 36 && n != 32 && n != 38 && n != 45:
		f.Invalid(p, uid, fmt.Sprintf("error validating uid: invalid UUID length: %d", n))
	case n == 36 && !schema.IsUUID(uid):
		f.Invalid(p, uid, "error validating uid: invalid UUID format")
	case n != 36 || uid != strings.ToLower(uid):
		f.Invalid(p, uid, "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters")
	}
}

// checkName requires a C identifier with an optional domain. More than one slash is not looked at, as in Kubernetes.
func checkName(f *check.Errors, name string, p *field.Path) {
	domain, id, both := strings.Cut(name, "/")
	switch {
	case !both:
		checkIdentifier(f, name, p)
	case !strings.Contains(id, "/"):
		if domain == "" {
			f.Invalid(p, "", "the domain must not be empty")
		} else {
			core.CheckDriverName(f, domain, p)
		}
		if id == "" {
			f.Invalid(p, "", "the name must not be empty")
		} else {
			checkIdentifier(f, id, p)
		}
	}
}

func checkFullName(f *check.Errors, name string, p *field.Path) {
	checkName(f, name, p)
	if !strings.Contains(name, "/") {
		f.Invalid(p, name, "a fully qualified name must be a domain and a name separated by a slash")
	}
}

func checkIdentifier(f *check.Errors, id string, p *field.Path) {
	if len(id) > maxIdentifier {
		f.Add(field.TooLong(p, "", maxIdentifier))
	}
	f.Each(p, id, content.IsCIdentifier(id))
}

var effects = []resourcev1.DeviceTaintEffect{resourcev1.DeviceTaintEffectNoExecute, resourcev1.DeviceTaintEffectNoSchedule, resourcev1.DeviceTaintEffectNone}

func checkToleration(f *check.Errors, t *resourcev1.DeviceToleration, p *field.Path) {
	if t.Key != "" {
		f.Add(metavalidation.ValidateLabelName(t.Key, p.Child("key"))...)
	}
	switch t.Operator {
	case resourcev1.DeviceTolerationOpExists:
		if t.Value != "" {
			f.Invalid(p.Child("value"), t.Value, "must be empty for operator `Exists`")
		}
	case resourcev1.DeviceTolerationOpEqual:
		f.Each(p.Child("value"), t.Value, validation.IsValidLabelValue(t.Value))
	default:
		check.SetOneOf(f, p.Child("operator"), t.Operator, resourcev1.DeviceTolerationOpEqual, resourcev1.DeviceTolerationOpExists)
	}
	if t.Effect != "" {
		check.OneOf(f, p.Child("effect"), t.Effect, effects...)
	}
}

func checkTaint(f *check.Errors, t *resourcev1.DeviceTaint, p *field.Path) {
	f.Add(metavalidation.ValidateLabelName(t.Key, p.Child("key"))...)
	if t.Value != "" {
		f.Each(p.Child("value"), t.Value, validation.IsValidLabelValue(t.Value))
	}
	check.SetOneOf(f, p.Child("effect"), t.Effect, effects...)
}

// checkBinding checks the conditions that must be, and must not be, before a pod is bound: both or neither, and each name once.
func checkBinding(f *check.Errors, good, bad []string, p *field.Path) {
	goods, bads := p.Child("bindingConditions"), p.Child("bindingFailureConditions")
	name := func(s *string, at *field.Path) { f.Add(metavalidation.ValidateLabelName(*s, at)...) }
	each(f, good, maxBinding, goods, name)
	each(f, bad, maxBinding, bads, name)
	seen, failed := map[string]bool{}, map[string]bool{}
	for i, c := range good {
		if seen[c] {
			f.Duplicate(goods.Index(i), c)
		}
		seen[c] = true
	}
	for i, c := range bad {
		if failed[c] {
			f.Duplicate(bads.Index(i), c)
		}
		failed[c] = true
		if seen[c] {
			f.Invalid(bads.Index(i), c, "bindingFailureConditions must not overlap with bindingConditions")
		}
	}
	if len(good) == 0 && len(bad) > 0 {
		f.Invalid(goods, good, "bindingConditions are required to use bindingFailureConditions")
	}
	if len(bad) == 0 && len(good) > 0 {
		f.Invalid(bads, bad, "bindingFailureConditions are required to use bindingConditions")
	}
}
