package resource

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"gantry/schema/internal/checktest"
)

type claim = *resourcev1.ResourceClaim

func ptr[T any](v T) *T { return &v }

const badLabel = `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`

func newClaim() claim {
	return &resourcev1.ResourceClaim{Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
		{Name: "gpu", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "c"}},
		{Name: "nic", FirstAvailable: []resourcev1.DeviceSubRequest{{Name: "fast", DeviceClassName: "c"}}},
	}}}}
}

func TestClaimErrors(t *testing.T) {
	change := func(f func(d *resourcev1.DeviceClaim)) func(claim) {
		return func(c claim) { f(&c.Spec.Devices) }
	}
	const unknown = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
	checktest.Create(t, ResourceClaim, newClaim, []checktest.Case[claim]{
		{Name: "good"},
		{Name: "requests", In: change(func(d *resourcev1.DeviceClaim) {
			d.Requests = []resourcev1.DeviceRequest{{Name: "A"}, {Name: "A", Exactly: &resourcev1.ExactDeviceRequest{}, FirstAvailable: make([]resourcev1.DeviceSubRequest, 1)}}
		}), Want: []string{
			`spec.devices.requests[0].name: Invalid value: "A": ` + badLabel,
			"spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
			`spec.devices.requests[1].name: Invalid value: "A": ` + badLabel,
			"spec.devices.requests[1]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
			`spec.devices.requests[1]: Duplicate value: "A"`,
		}},
		{Name: "too many", In: change(func(d *resourcev1.DeviceClaim) { d.Requests = make([]resourcev1.DeviceRequest, 33) }),
			Want: []string{"spec.devices.requests: Too many: 33: must have at most 32 items"}},
		{Name: "devices", In: change(func(d *resourcev1.DeviceClaim) {
			*d.Requests[0].Exactly = resourcev1.ExactDeviceRequest{
				AllocationMode: "All", Count: 2, Selectors: []resourcev1.DeviceSelector{{}, {CEL: &resourcev1.CELDeviceSelector{Expression: strings.Repeat("x", 10241)}}},
				Tolerations: []resourcev1.DeviceToleration{{Operator: "Exists", Value: "x"}, {}, {Operator: "Equal", Effect: "x"}},
			}
			d.Requests[1].FirstAvailable = []resourcev1.DeviceSubRequest{{Name: "a", DeviceClassName: "c", AllocationMode: "x"}, {Name: "a", DeviceClassName: "c", AllocationMode: "ExactCount", Count: -1}}
		}), Want: []string{
			"spec.devices.requests[0].exactly.deviceClassName: Required value",
			"spec.devices.requests[0].exactly.selectors[0].cel: Required value",
			"spec.devices.requests[0].exactly.selectors[1].cel.expression: Too long: may not be more than 10240 bytes",
			"spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'",
			"spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: \"x\": must be empty for operator `Exists`",
			`spec.devices.requests[0].exactly.tolerations[2].effect: Unsupported value: "x": supported values: "NoExecute", "NoSchedule", "None"`,
			`spec.devices.requests[1].firstAvailable[0].allocationMode: Unsupported value: "x": supported values: "All", "ExactCount"`,
			"spec.devices.requests[1].firstAvailable[1].count: Invalid value: -1: must be greater than zero",
			`spec.devices.requests[1].firstAvailable[1]: Duplicate value: "a"`,
		}},
		{Name: "constraints", In: change(func(d *resourcev1.DeviceClaim) {
			d.Constraints = []resourcev1.DeviceConstraint{
				{Requests: []string{"gpu", "nic/fast", "nic/fast", "x", "a/b/c"}, MatchAttribute: ptr(resourcev1.FullyQualifiedName("a.example/x"))}, {},
				{DistinctAttribute: ptr(resourcev1.FullyQualifiedName("x"))}, {MatchAttribute: ptr(resourcev1.FullyQualifiedName("/"))},
			}
		}), Want: []string{
			`spec.devices.constraints[0].requests[3]: Invalid value: "x": ` + unknown,
			`spec.devices.constraints[0].requests[4]: Invalid value: "a/b/c": ` + unknown,
			`spec.devices.constraints[0].requests[2]: Duplicate value: "nic/fast"`,
			`spec.devices.constraints[1]: Required value: exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set`,
			`spec.devices.constraints[2].distinctAttribute: Invalid value: "x": a fully qualified name must be a domain and a name separated by a slash`,
			`spec.devices.constraints[3].matchAttribute: Invalid value: "": the domain must not be empty`,
			`spec.devices.constraints[3].matchAttribute: Invalid value: "": the name must not be empty`,
		}},
		{Name: "configuration", In: change(func(d *resourcev1.DeviceClaim) {
			config := func(raw string) resourcev1.DeviceClaimConfiguration {
				return resourcev1.DeviceClaimConfiguration{DeviceConfiguration: resourcev1.DeviceConfiguration{Opaque: &resourcev1.OpaqueDeviceConfiguration{
					Driver: "D.example", Parameters: runtime.RawExtension{Raw: []byte(raw)}}}}
			}
			d.Config = []resourcev1.DeviceClaimConfiguration{{}, config(""), config("{"), config("null"), config("1"), config(`{"a":1}`), config(strings.Repeat("x", 10241))}
			d.Config[5].Opaque.Driver = "-" + strings.Repeat("a", 63)
		}), Want: []string{
			"spec.devices.config[0].opaque: Required value",
			"spec.devices.config[1].opaque.parameters: Required value",
			`spec.devices.config[2].opaque.parameters: Invalid value: "<value omitted>": error parsing data as JSON: unexpected end of JSON input`,
			"spec.devices.config[3].opaque.parameters: Required value",
			`spec.devices.config[4].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object`,
			"spec.devices.config[5].opaque.driver: Too long: may not be more than 63 bytes",
			`spec.devices.config[5].opaque.driver: Invalid value: "-` + strings.Repeat("a", 63) + `": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
			"spec.devices.config[6].opaque.parameters: Too long: may not be more than 10240 bytes",
		}},
	})
	checktest.Update(t, ResourceClaim, newClaim, []checktest.Case[claim]{
		{Name: "labels", In: func(c claim) { c.Labels = map[string]string{"a": "b"} }},
	})
	old, c := newClaim(), newClaim()
	c.Spec.Devices.Requests = nil
	if got := checktest.Texts(ResourceClaim.ValidateUpdate(c, old)); len(got) != 1 || !strings.HasSuffix(got[0], ": field is immutable") {
		t.Errorf("another spec: %q", got)
	}
}

func TestTemplateErrors(t *testing.T) {
	type template = *resourcev1.ResourceClaimTemplate
	base := func() template {
		return &resourcev1.ResourceClaimTemplate{Spec: resourcev1.ResourceClaimTemplateSpec{Spec: newClaim().Spec}}
	}
	cases := []checktest.Case[template]{
		{Name: "good"},
		{Name: "metadata", In: func(t template) {
			t.Spec.Labels, t.Spec.Name, t.Spec.UID = map[string]string{"-": ""}, "a", "b"
		}, Want: []string{
			`spec.metadata.labels: Invalid value: "-": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
			"spec.metadata.name: Forbidden: cannot be set", "spec.metadata.uID: Forbidden: cannot be set",
		}},
	}
	checktest.Create(t, ResourceClaimTemplate, base, cases)
	changed := base()
	ResourceClaimTemplate.Default(changed)
	old := changed.DeepCopy()
	changed.Spec.Name = "a"
	if got := checktest.Texts(ResourceClaimTemplate.ValidateUpdate(changed, old)); len(got) != 2 || got[0] != "spec.metadata.name: Forbidden: cannot be set" || !strings.HasSuffix(got[1], ": field is immutable") {
		t.Errorf("an update: %q", got)
	}
}

// Many selectors of one claim take no longer than one budget for compiling them allows.
func TestSelectorsShareABudget(t *testing.T) {
	c := newClaim()
	costly := resourcev1.DeviceSelector{CEL: &resourcev1.CELDeviceSelector{Expression: strings.Repeat("[1][0]==1&&", 400) + "true"}}
	for range 32 {
		c.Spec.Devices.Requests[0].Exactly.Selectors = append(c.Spec.Devices.Requests[0].Exactly.Selectors, costly)
	}
	ResourceClaim.Default(c)
	got := checktest.Texts(ResourceClaim.Validate(c))
	if len(got) == 0 || !strings.Contains(got[len(got)-1], "too complex: it would take too long to compile") {
		t.Errorf("got %d errors", len(got))
	}
}

func allocation() *resourcev1.AllocationResult {
	return &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{
		{Request: "gpu", Driver: "d", Pool: "p/q", Device: "x"},
	}}}
}

func TestClaimStatusErrors(t *testing.T) {
	status := func(f func(s *resourcev1.ResourceClaimStatus)) func(claim) {
		return func(c claim) { f(&c.Status) }
	}
	user := resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: "web", UID: "7"}
	checktest.Part(t, ResourceClaim, "status", newClaim, []checktest.Case[claim]{
		{Name: "allocation", In: status(func(s *resourcev1.ResourceClaimStatus) {
			s.Allocation, s.ReservedFor = allocation(), []resourcev1.ResourceClaimConsumerReference{user}
		})},
		{Name: "users without an allocation", In: status(func(s *resourcev1.ResourceClaimStatus) {
			s.ReservedFor = []resourcev1.ResourceClaimConsumerReference{user, user, {}}
		}), Want: []string{
			"status.reservedFor[2].resource: Required value", "status.reservedFor[2].name: Required value", "status.reservedFor[2].uid: Required value",
			`status.reservedFor[1]: Duplicate value: "7"`, "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
		}},
		{Name: "users of a claim that is being deleted", In: func(c claim) {
			c.DeletionTimestamp = &metav1.Time{}
			c.Status.Allocation, c.Status.ReservedFor = allocation(), []resourcev1.ResourceClaimConsumerReference{user}
		}, Want: []string{"status.reservedFor: Forbidden: new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"}},
		{Name: "results", In: status(func(s *resourcev1.ResourceClaimStatus) {
			s.Allocation = allocation()
			s.Allocation.NodeSelector = &corev1.NodeSelector{}
			s.Allocation.Devices.Results = []resourcev1.DeviceRequestAllocationResult{{Request: "x", ShareID: ptr(types.UID("7"))}, {
				Request: "gpu", Driver: "d", Pool: "p", Device: "x", ShareID: ptr(types.UID("0F8FAD5B-D9CB-469F-A165-70867728950E")),
				BindingConditions: []string{"a", "a"}, BindingFailureConditions: []string{"a"},
			}, {Request: "gpu", Driver: "d", Pool: "p", Device: "x", BindingConditions: []string{"a"}}}
			s.Allocation.Devices.Config = []resourcev1.DeviceAllocationConfiguration{{Source: "x"}}
		}), Want: []string{
			`status.allocation.devices.results[0].request: Invalid value: "x": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'`,
			"status.allocation.devices.results[0].driver: Required value", "status.allocation.devices.results[0].pool: Required value",
			`status.allocation.devices.results[0].device: Invalid value: "": ` + badLabel,
			`status.allocation.devices.results[0].shareID: Invalid value: "7": error validating uid: invalid UUID length: 1`,
			`status.allocation.devices.results[1].bindingConditions[1]: Duplicate value: "a"`,
			`status.allocation.devices.results[1].bindingFailureConditions[0]: Invalid value: "a": bindingFailureConditions must not overlap with bindingConditions`,
			"status.allocation.devices.results[1].shareID: Invalid value: \"0F8FAD5B-D9CB-469F-A165-70867728950E\": uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters",
			"status.allocation.devices.results[2].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions",
			`status.allocation.devices.config[0].source: Unsupported value: "x": supported values: "FromClaim", "FromClass"`,
			"status.allocation.devices.config[0].opaque: Required value",
			"status.allocation.nodeSelector.nodeSelectorTerms: Required value: must have at least one node selector term",
		}},
		{Name: "devices", In: status(func(s *resourcev1.ResourceClaimStatus) {
			s.Allocation = allocation()
			s.Devices = []resourcev1.AllocatedDeviceStatus{{Driver: "d", Pool: "p/q", Device: "x"}, {Driver: "d", Pool: "p", Device: "y",
				Conditions: make([]metav1.Condition, 9)[:0], Data: &runtime.RawExtension{Raw: []byte("1")},
				NetworkData: &resourcev1.NetworkDeviceData{InterfaceName: strings.Repeat("x", 257), HardwareAddress: strings.Repeat("x", 129), IPs: []string{"10.0.0.1/8", "10.0.0.1/8"}}}}
		}), Want: []string{
			`status.devices[1]: Invalid value: {"Driver":"d","Pool":"p","Device":"y","ShareID":""}: must be an allocated device in the claim`,
			`status.devices[1].data: Invalid value: "<value omitted>": must be a valid JSON object`,
			"status.devices[1].networkData.interfaceName: Too long: may not be more than 256 bytes",
			"status.devices[1].networkData.hardwareAddress: Too long: may not be more than 128 bytes",
			`status.devices[1].networkData.ips[1]: Duplicate value: "10.0.0.1/8"`,
		}},
	})
	was := func() claim {
		c := newClaim()
		c.Status.Allocation = allocation()
		return c
	}
	checktest.Part(t, ResourceClaim, "status", was, []checktest.Case[claim]{
		{Name: "taken back", In: status(func(s *resourcev1.ResourceClaimStatus) { s.Allocation = nil })},
	})
	c := was()
	c.Status.Allocation.Devices.Results[0].Device = "y"
	if got := checktest.Texts(ResourceClaim.Subresource("status").Validate(c, was())); len(got) != 1 || !strings.HasPrefix(got[0], "status.allocation: Invalid value: ") || !strings.HasSuffix(got[0], ": field is immutable") {
		t.Errorf("another device: %q", got)
	}
}

func TestClaimParts(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	old := newClaim()
	old.Name, old.CreationTimestamp = "c", now
	ResourceClaim.Default(old)
	old.Spec.Devices.Requests[0].Exactly.Tolerations = []resourcev1.DeviceToleration{{Key: "k"}}
	ResourceClaim.Default(old)
	if e := old.Spec.Devices.Requests[0].Exactly; e.Tolerations[0].Operator != "Equal" || e.AllocationMode != "ExactCount" || e.Count != 1 || old.Spec.Devices.Requests[1].FirstAvailable[0].Count != 1 {
		t.Errorf("defaulted: %+v", old.Spec)
	}
	old.Status.Allocation = allocation()
	old.Status.Devices = []resourcev1.AllocatedDeviceStatus{{Driver: "d", Pool: "p/q", Device: "x"}}
	for want, change := range map[string]func(claim){
		"allocated": func(claim) {}, "allocated,reserved": func(c claim) { c.Status.ReservedFor = make([]resourcev1.ResourceClaimConsumerReference, 1) },
		"pending": func(c claim) { c.Status.Allocation = nil }, "deleted": func(c claim) { c.Status.Allocation, c.DeletionTimestamp = nil, &now },
	} {
		c := old.DeepCopy()
		change(c)
		if diff := cmp.Diff([]any{"c", want, "0s"}, ResourceClaim.Row(c, now)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	freed := old.DeepCopy()
	freed.Labels, freed.Spec, freed.Status.Allocation = map[string]string{"a": "b"}, resourcev1.ResourceClaimSpec{}, nil
	ResourceClaim.Subresource("status").Prepare(freed, old)
	if freed.Status.Devices != nil || freed.Labels != nil || len(freed.Spec.Devices.Requests) != 2 {
		t.Errorf("after the end of the allocation: %+v", freed)
	}
	updated := old.DeepCopy()
	updated.Status = resourcev1.ResourceClaimStatus{}
	if ResourceClaim.PrepareUpdate(updated, old); updated.Status.Allocation == nil {
		t.Error("an update took the status back")
	}
	if ResourceClaim.PrepareCreate(updated); updated.Status.Allocation != nil {
		t.Error("a create set the status")
	}
}
