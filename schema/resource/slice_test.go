package resource

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

type slice = *resourcev1.ResourceSlice

func newSlice() slice {
	return &resourcev1.ResourceSlice{Spec: resourcev1.ResourceSliceSpec{
		Driver: "d", NodeName: ptr("n"), Pool: resourcev1.ResourcePool{Name: "p", ResourceSliceCount: 1},
		Devices: []resourcev1.Device{{Name: "x", Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"a": {IntValue: ptr(int64(1))}}}},
	}}
}

func TestSliceErrors(t *testing.T) {
	const nodes = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
	of := func(change func(d *resourcev1.Device)) func(slice) {
		return func(s slice) { change(&s.Spec.Devices[0]) }
	}
	attributes := func(a map[resourcev1.QualifiedName]resourcev1.DeviceAttribute) func(slice) {
		return of(func(d *resourcev1.Device) { d.Attributes = a })
	}
	policy := func(change func(p *resourcev1.CapacityRequestPolicy)) func(slice) {
		return of(func(d *resourcev1.Device) {
			p := &resourcev1.CapacityRequestPolicy{Default: ptr(resource.MustParse("5"))}
			change(p)
			d.AllowMultipleAllocations = ptr(true)
			d.Capacity = map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{"c": {Value: resource.MustParse("10"), RequestPolicy: p}}
		})
	}
	q := resource.MustParse
	const at = "spec.devices[0].capacity[c].requestPolicy"
	checktest.Create(t, ResourceSlice, newSlice, []checktest.Case[slice]{
		{Name: "good"},
		{Name: "empty", In: func(s slice) { s.Spec = resourcev1.ResourceSliceSpec{Pool: resourcev1.ResourcePool{Generation: -1}} }, Want: []string{
			"spec.driver: Required value", "spec.pool.name: Required value", "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
			"spec.pool.generation: Invalid value: -1: must be greater than or equal to zero", "spec: Required value: " + nodes,
		}},
		{Name: "nodes", In: func(s slice) {
			s.Spec.NodeName, s.Spec.AllNodes, s.Spec.PerDeviceNodeSelection = ptr(""), ptr(true), ptr(false)
			s.Spec.NodeSelector = &corev1.NodeSelector{NodeSelectorTerms: make([]corev1.NodeSelectorTerm, 2)}
		}, Want: []string{
			`spec.nodeName: Invalid value: "": must be either unset or set to a non-empty string`,
			`spec.nodeSelector.nodeSelectorTerms: Invalid value: [{},{}]: must have exactly one node selector term`,
			"spec.perDeviceNodeSelection: Invalid value: false: must be either unset or set to true",
			"spec: Invalid value: \"{`nodeSelector`, `allNodes`}\": " + nodes + ", but multiple fields are set",
		}},
		{Name: "counters", In: func(s slice) {
			s.Spec.Devices, s.Spec.SharedCounters = nil, []resourcev1.CounterSet{{}, {Name: "a", Counters: map[string]resourcev1.Counter{"A": {}}}, {Name: "a", Counters: map[string]resourcev1.Counter{"a": {}}}}
		}, Want: []string{
			"spec.sharedCounters[0].name: Required value", "spec.sharedCounters[0].counters: Required value",
			`spec.sharedCounters[1].counters: Invalid value: "A": ` + badLabel, `spec.sharedCounters[2]: Duplicate value: "a"`,
		}},
		{Name: "counters beside devices", In: func(s slice) { s.Spec.SharedCounters = []resourcev1.CounterSet{} },
			Want: []string{"spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed"}},
		{Name: "many devices", In: func(s slice) { s.Spec.Devices = make([]resourcev1.Device, 129) }, Want: []string{"spec.devices: Too many: 129: must have at most 128 items"}},
		{Name: "many advanced devices", In: func(s slice) {
			s.Spec.Devices = make([]resourcev1.Device, 65)
			s.Spec.Devices[0].Taints = make([]resourcev1.DeviceTaint, 1)
		}, Want: []string{"spec.devices: Too many: 65: must have at most 64 items"}},
		{Name: "device", In: of(func(d *resourcev1.Device) {
			*d = resourcev1.Device{NodeName: ptr("n"), Taints: []resourcev1.DeviceTaint{{Key: "k"}}, ConsumesCounters: make([]resourcev1.DeviceCounterConsumption, 1),
				Capacity: map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{"c": {RequestPolicy: &resourcev1.CapacityRequestPolicy{}}}}
		}), Want: []string{
			`spec.devices[0].name: Invalid value: "": ` + badLabel,
			"spec.devices[0].capacity[c].requestPolicy: Forbidden: allowMultipleAllocations must be true",
			"spec.devices[0].taints[0].effect: Required value",
			"spec.devices[0].consumesCounters[0].counterSet: Required value", "spec.devices[0].consumesCounters[0].counters: Required value",
			"spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
		}},
		{Name: "nodes of devices", In: func(s slice) {
			s.Spec.NodeName, s.Spec.PerDeviceNodeSelection = nil, ptr(true)
		}, Want: []string{"spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"}},
		{Name: "attributes", In: attributes(map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{
			"a": {}, "b": {BoolValue: ptr(true), StringValue: ptr(strings.Repeat("x", 65))}, "c": {VersionValue: ptr("1.2")}, "d.e/f": {VersionValue: ptr("1.2.3-a.1+b")},
		}), Want: []string{
			`spec.devices[0].attributes[a]: Invalid value: "": exactly one value must be specified`,
			"spec.devices[0].attributes[b].string: Too long: may not be more than 64 bytes",
			`spec.devices[0].attributes[b]: Invalid value: {"bool":true,"string":"` + strings.Repeat("x", 65) + `"}: exactly one value must be specified`,
			`spec.devices[0].attributes[c].version: Invalid value: "1.2": must be a string compatible with semver.org spec 2.0.0`,
		}},
		{Name: "names of attributes", In: attributes(map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{
			"1": {IntValue: ptr(int64(1))}, resourcev1.QualifiedName("a/" + strings.Repeat("x", 33)): {IntValue: ptr(int64(1))},
		}), Want: []string{
			`spec.devices[0].attributes: Invalid value: "1": a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')`,
			"spec.devices[0].attributes: Too long: may not be more than 32 bytes",
		}},
		{Name: "options", In: policy(func(p *resourcev1.CapacityRequestPolicy) {
			p.ValidValues = []resource.Quantity{q("2"), q("1"), q("11"), q("11")}
		}), Want: []string{
			at + `.validValues[1]: Invalid value: "1": values must be sorted in ascending order`,
			at + `.validValues[2]: Invalid value: "11": option is larger than capacity value: 10`,
			at + `.validValues[3]: Invalid value: "11": option is larger than capacity value: 10`,
			at + `.validValues[3]: Duplicate value: "11"`,
			at + `.validValues: Invalid value: "5": default value is not valid according to the requestPolicy`,
		}},
		{Name: "range", In: policy(func(p *resourcev1.CapacityRequestPolicy) {
			p.ValidRange = &resourcev1.CapacityRequestPolicyRange{Min: ptr(q("6")), Max: ptr(q("4")), Step: ptr(q("0"))}
		}), Want: []string{
			at + `.validRange.min: Invalid value: "5": default is less than min: 6`, at + `.validRange.max: Invalid value: "6": min is larger than max: 4`,
			at + `.validRange.max: Invalid value: "5": default is more than max: 4`,
			at + `.validRange.step: Invalid value: "5": value is not a multiple of a given step (0) from (6)`,
			at + `.validRange.step: Invalid value: "4": value is not a multiple of a given step (0) from (6)`,
		}},
		{Name: "policies", In: policy(func(p *resourcev1.CapacityRequestPolicy) {
			p.Default, p.ValidRange = nil, &resourcev1.CapacityRequestPolicyRange{}
		}), Want: []string{at + ".default: Required value: required when validRange is defined"}},
	})
	checktest.Update(t, ResourceSlice, newSlice, []checktest.Case[slice]{
		{Name: "what is immutable", In: func(s slice) { s.Spec.Driver, s.Spec.Pool.Name, s.Spec.NodeName = "e", "q", ptr("m") }, Want: []string{
			`spec.pool.name: Invalid value: "q": field is immutable`, `spec.driver: Invalid value: "e": field is immutable`, `spec.nodeName: Invalid value: "m": field is immutable`,
		}},
	})
}

func TestSliceParts(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	s := newSlice()
	s.Name, s.CreationTimestamp, s.Spec.Driver = "s", now, "D"
	s.Spec.Devices[0].Taints = []resourcev1.DeviceTaint{{Key: "k", Effect: "None"}}
	s.Spec.Devices[0].NodeAllocatableResourceMappings = map[corev1.ResourceName]resourcev1.NodeAllocatableResourceMapping{"cpu": {}}
	s.Spec.Devices[0].Attributes["l"] = resourcev1.DeviceAttribute{IntValues: []int64{1}}
	ResourceSlice.PrepareCreate(s)
	if d := s.Spec.Devices[0]; s.Generation != 1 || d.Taints[0].TimeAdded == nil || d.NodeAllocatableResourceMappings != nil || d.Attributes["l"].IntValues != nil {
		t.Errorf("created %+v", s)
	}
	if diff := cmp.Diff([]string{`spec.driver: driver names should be lowercase; "D" contains uppercase characters`}, ResourceSlice.Warnings(s, nil)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"s", "n", "D", "p", "0s"}, ResourceSlice.Row(s, now)); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	next := s.DeepCopy()
	next.Spec.Pool.Generation++
	if ResourceSlice.PrepareUpdate(next, s); next.Generation != 2 || ResourceSlice.Fields[0].Value(s) != "n" || ResourceSlice.Fields[1].Value(s) != "D" {
		t.Errorf("updated %+v", next)
	}
}

func TestDeviceClass(t *testing.T) {
	type class = *resourcev1.DeviceClass
	checktest.Create(t, DeviceClass, func() class { return &resourcev1.DeviceClass{} }, []checktest.Case[class]{
		{Name: "good", In: func(c class) { c.Spec.ExtendedResourceName = ptr("example.com/gpu") }},
		{Name: "spec", In: func(c class) {
			c.Spec = resourcev1.DeviceClassSpec{ExtendedResourceName: ptr("cpu"), Selectors: make([]resourcev1.DeviceSelector, 33), Config: make([]resourcev1.DeviceClassConfiguration, 1)}
		}, Want: []string{
			"spec.selectors: Too many: 33: must have at most 32 items", "spec.config[0].opaque: Required value",
			`spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name`,
		}},
	})
	c := &resourcev1.DeviceClass{}
	DeviceClass.PrepareCreate(c)
	changed := c.DeepCopy()
	changed.Spec.ExtendedResourceName = ptr("a.b/c")
	if DeviceClass.PrepareUpdate(changed, c); c.Generation != 1 || changed.Generation != 2 {
		t.Errorf("generations %d, %d", c.Generation, changed.Generation)
	}
}
