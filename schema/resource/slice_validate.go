package resource

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

// How many of each a slice may have.
const (
	maxDevices         = 128
	maxAdvancedDevices = 64 // of devices with taints or counters
	maxCounterSets     = 8
	maxCounters        = 32
	maxConsumed        = 2
	maxTaints          = 16
	maxAttributes      = 32 // with capacities
	maxValues          = 48 // of attributes
	maxValueLength     = 64 // bytes
)

func validateSlice(s *resourcev1.ResourceSlice) field.ErrorList {
	f := checkSlice(&s.Spec, nil)
	return f.List
}

func validateSliceUpdate(s, old *resourcev1.ResourceSlice) field.ErrorList {
	f := checkSlice(&s.Spec, &old.Spec)
	return f.List
}

// checkSlice checks what a driver tells; old is nil for a create. Taints that a device had are not checked again.
func checkSlice(spec, old *resourcev1.ResourceSliceSpec) (f check.Errors) {
	checkDriver(&f, spec.Driver, specPath.Child("driver"))
	pool := specPath.Child("pool")
	checkPool(&f, spec.Pool.Name, pool.Child("name"))
	f.Positive(pool.Child("resourceSliceCount"), spec.Pool.ResourceSliceCount)
	if spec.Pool.Generation < 0 {
		f.Invalid(pool.Child("generation"), spec.Pool.Generation, "must be greater than or equal to zero")
	}
	if old != nil {
		f.Same(pool.Child("name"), spec.Pool.Name, old.Pool.Name)
		f.Same(specPath.Child("driver"), spec.Driver, old.Driver)
		f.Same(specPath.Child("nodeName"), spec.NodeName, old.NodeName)
	}
	const one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
	set := checkNodes(&f, spec.NodeName, spec.NodeSelector, spec.AllNodes, "must be either unset or set to a non-empty string", specPath)
	if spec.NodeSelector != nil && len(spec.NodeSelector.NodeSelectorTerms) != 1 {
		f.Invalid(specPath.Child("nodeSelector", "nodeSelectorTerms"), spec.NodeSelector.NodeSelectorTerms, "must have exactly one node selector term")
	}
	if each := spec.PerDeviceNodeSelection; each != nil && *each {
		set = append(set, "`perDeviceNodeSelection`")
	} else if each != nil {
		f.Invalid(specPath.Child("perDeviceNodeSelection"), false, "must be either unset or set to true")
	}
	exactlyOne(&f, set, specPath, one, one+", but multiple fields are set")
	if spec.SharedCounters != nil && spec.Devices != nil {
		f.Invalid(specPath, "", "only one of `sharedCounters` or `devices` is allowed")
	}
	checkAllDevices(&f, spec, old)
	eachOnce(&f, spec.SharedCounters, maxCounterSets, specPath.Child("sharedCounters"), func(s *resourcev1.CounterSet, at *field.Path) {
		checkCounters(&f, s.Name, at.Child("name"), s.Counters, at.Child("counters"))
	}, func(s *resourcev1.CounterSet) string { return s.Name })
	return f
}

// checkNodes checks the nodes that devices are for, and returns which of the fields are set.
func checkNodes(f *check.Errors, name *string, selector *corev1.NodeSelector, all *bool, noName string, p *field.Path) (set []string) {
	if name != nil && *name != "" {
		set = append(set, "`nodeName`")
		f.Each(p.Child("nodeName"), *name, apivalidation.NameIsDNSSubdomain(*name, false))
	} else if name != nil {
		f.Invalid(p.Child("nodeName"), "", noName)
	}
	if selector != nil {
		set = append(set, "`nodeSelector`")
		f.Add(core.ValidateNodeSelector(selector, p.Child("nodeSelector"))...)
	}
	if all != nil && *all {
		set = append(set, "`allNodes`")
	} else if all != nil {
		f.Invalid(p.Child("allNodes"), false, "must be either unset or set to true")
	}
	return set
}

func exactlyOne(f *check.Errors, set []string, p *field.Path, none, several string) {
	switch len(set) {
	case 0:
		f.Required(p, none)
	case 1:
	default:
		f.Invalid(p, "{"+strings.Join(set, ", ")+"}", several)
	}
}

func checkAllDevices(f *check.Errors, spec, old *resourcev1.ResourceSliceSpec) {
	most := maxDevices
	for i := range spec.Devices {
		if d := &spec.Devices[i]; len(d.Taints)+len(d.ConsumesCounters) > 0 || hasList(d) {
			most = maxAdvancedDevices
		}
	}
	tainted := map[string][]resourcev1.DeviceTaint{}
	if old != nil {
		for i := range old.Devices {
			if d := &old.Devices[i]; tainted[d.Name] == nil {
				tainted[d.Name] = d.Taints
			}
		}
	}
	perDevice := spec.PerDeviceNodeSelection != nil && *spec.PerDeviceNodeSelection
	eachOnce(f, spec.Devices, most, specPath.Child("devices"), func(d *resourcev1.Device, at *field.Path) {
		checkDevice(f, d, at)
		if had := tainted[d.Name]; had == nil || !equality.Semantic.DeepEqual(had, d.Taints) {
			each(f, d.Taints, maxTaints, at.Child("taints"), func(t *resourcev1.DeviceTaint, at *field.Path) { checkTaint(f, t, at) })
		}
		eachOnce(f, d.ConsumesCounters, maxConsumed, at.Child("consumesCounters"), func(c *resourcev1.DeviceCounterConsumption, at *field.Path) {
			checkCounters(f, c.CounterSet, at.Child("counterSet"), c.Counters, at.Child("counters"))
		}, func(c *resourcev1.DeviceCounterConsumption) string { return c.CounterSet })
		checkDeviceNodes(f, d, perDevice, at)
		checkBinding(f, d.BindingConditions, d.BindingFailureConditions, at)
	}, func(d *resourcev1.Device) string { return d.Name })
}

func hasList(d *resourcev1.Device) bool {
	for _, a := range d.Attributes {
		if isList(&a) {
			return true
		}
	}
	return false
}

func checkDeviceNodes(f *check.Errors, d *resourcev1.Device, perDevice bool, p *field.Path) {
	if perDevice {
		const one = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
		exactlyOne(f, checkNodes(f, d.NodeName, d.NodeSelector, d.AllNodes, "must not be empty", p), p, one, one)
	} else if d.NodeName != nil || d.NodeSelector != nil || d.AllNodes != nil {
		f.Invalid(p, nil, "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec")
	}
}

func checkDevice(f *check.Errors, d *resourcev1.Device, p *field.Path) {
	f.Label(p.Child("name"), d.Name)
	if n := len(d.Attributes) + len(d.Capacity); n > maxAttributes {
		f.Invalid(p, n, fmt.Sprintf("the total number of attributes and capacities must not exceed %d", maxAttributes))
	}
	values := 0
	for _, a := range d.Attributes {
		values += max(1, len(a.BoolValues)+len(a.IntValues)+len(a.StringValues)+len(a.VersionValues))
	}
	if values > maxValues {
		f.Invalid(p, values, fmt.Sprintf("the total number of attribute values must not exceed %d", maxValues))
	}
	list := p.Child("attributes")
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		a := d.Attributes[name]
		checkName(f, string(name), list)
		checkAttribute(f, &a, list.Key(truncated(string(name), maxDriver+1+maxIdentifier)))
	}
	shared := d.AllowMultipleAllocations != nil && *d.AllowMultipleAllocations
	list = p.Child("capacity")
	for _, name := range slices.Sorted(maps.Keys(d.Capacity)) {
		c := d.Capacity[name]
		checkName(f, string(name), list)
		policy := list.Key(truncated(string(name), maxDriver+1+maxIdentifier)).Child("requestPolicy")
		if c.RequestPolicy != nil && !shared {
			f.Forbidden(policy, "allowMultipleAllocations must be true")
		} else if c.RequestPolicy != nil {
			checkRequestPolicy(f, c.Value, c.RequestPolicy, policy)
		}
	}
}

// truncated leaves out what is in the middle of a long text.
func truncated(text string, most int) string {
	if len(text) <= most {
		return text
	}
	rest := most - len("...")
	return text[:(rest+1)/2] + "..." + text[len(text)-rest/2:]
}

const (
	number     = `(0|[1-9]\d*)`
	prerelease = `(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)`
	build      = `[0-9a-zA-Z-]+`
)

// version is one of semver.org, 2.0.0: "1.2.3-alpha.1+build.5".
var version = regexp.MustCompile(`^` + number + `\.` + number + `\.` + number + `(-` + prerelease + `(\.` + prerelease + `)*)?(\+` + build + `(\.` + build + `)*)?$`)

// checkAttribute requires one value.
func checkAttribute(f *check.Errors, a *resourcev1.DeviceAttribute, p *field.Path) {
	set := 0
	for _, there := range []bool{a.BoolValue != nil, a.IntValue != nil, a.StringValue != nil, a.VersionValue != nil,
		a.BoolValues != nil, a.IntValues != nil, a.StringValues != nil, a.VersionValues != nil} {
		if there {
			set++
		}
	}
	if a.StringValue != nil {
		checkLength(f, *a.StringValue, p.Child("string"))
	}
	if v := a.VersionValue; v != nil {
		if !version.MatchString(*v) {
			f.Invalid(p.Child("version"), *v, "must be a string compatible with semver.org spec 2.0.0")
		}
		checkLength(f, *v, p.Child("version"))
	}
	const one = "exactly one value must be specified"
	if set == 0 {
		f.Invalid(p, "", one)
	} else if set > 1 {
		f.Invalid(p, a, one)
	}
}

func checkLength(f *check.Errors, text string, p *field.Path) {
	if len(text) > maxValueLength {
		f.Add(field.TooLong(p, "", maxValueLength))
	}
}

func checkCounters(f *check.Errors, name string, at *field.Path, counters map[string]resourcev1.Counter, p *field.Path) {
	if f.Set(at, name) {
		f.Label(at, name)
	}
	switch n := len(counters); {
	case n == 0:
		f.Required(p, "")
	case n > maxCounters:
		f.Add(field.TooMany(p, n, maxCounters))
	default:
		for _, counter := range slices.Sorted(maps.Keys(counters)) {
			f.Each(p, counter, validation.IsDNS1123Label(counter))
		}
	}
}
