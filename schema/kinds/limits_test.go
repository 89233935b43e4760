package kinds

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gantry/schema"
)

// TestValuesOutOfRange are refused with the field's name, by Decode where decoding alone would cost too much, else by Encode; and cost nothing
// worth telling: some of these exponents keep a processor busy for years.
func TestValuesOutOfRange(t *testing.T) {
	const (
		year   = "must be a time of the years 0000 to 9999 in UTC"
		amount = "must be within -9223372036854775807 and 9223372036854775807, and no finer than 1n"
		length = "must be a quantity of at most 64 characters with an exponent of at most 64"
		nested = "must not nest deeper than 256 levels, with what it is in"
	)
	pod, node, service := BuiltIn().Resource("", "pods"), BuiltIn().Resource("", "nodes"), BuiltIn().Resource("", "services")
	cpu := func(text string) string {
		return `{"spec":{"containers":[{},{"name":"c","resources":{"limits":{"memory":"1Gi","cpu":` + text + `}}}]}}`
	}
	entry := func(members string) string { return `{"metadata":{"managedFields":[{` + members + `}]}}` }
	for _, tt := range []struct {
		k              *schema.Kind
		in, path, want string // want "": it is taken
	}{
		{node, `{"status":{"conditions":[{"lastHeartbeatTime":"9999-12-31T23:59:59-01:00"}]}}`, "status.conditions[0].lastHeartbeatTime", year},
		{node, `{"status":{"conditions":[{"lastHeartbeatTime":"0000-01-01T00:00:00+01:00"}]}}`, "status.conditions[0].lastHeartbeatTime", year},
		{node, `{"status":{"conditions":[{"lastHeartbeatTime":"9999-12-31T23:59:59+01:00","lastTransitionTime":"0000-01-01T00:00:00-01:00"}]}}`, "", ""},
		{pod, entry(`"time":"9999-12-31T23:59:59-01:00"`), "metadata.managedFields[0].time", year},
		{pod, `{"status":{"startTime":"9999-12-31T23:59:59-01:00"},"unknown":1}`, "status.startTime", year},
		{BuiltIn().Resource("coordination.k8s.io", "leases"), `{"spec":{"renewTime":"9999-12-31T23:59:59.999999-01:00"}}`, "spec.renewTime", year},
		{pod, entry(`"fieldsV1":` + strings.Repeat(`{"a":`, 252) + `{}` + strings.Repeat(`}`, 252)), "metadata.managedFields[0].fieldsV1", nested},
		{pod, entry(`"fieldsV1":` + strings.Repeat(`{"a":`, 9000) + `{}` + strings.Repeat(`}`, 9000)), "metadata.managedFields[0].fieldsV1", nested},
		{pod, entry(`"fieldsV1":` + strings.Repeat(`{"a":`, 200) + `{}` + strings.Repeat(`}`, 200)), "", ""},
		{pod, cpu(`"1e-10000000"`), "spec.containers[1].resources.limits[cpu]", length},
		{pod, cpu(`1e-2147483648`), "spec.containers[1].resources.limits[cpu]", length},
		{pod, cpu(`"-1E+99999999999999999999"`), "", ""}, // no quantity: the general codec says so
		{pod, cpu(`"1e4294967296"`), "spec.containers[1].resources.limits[cpu]", length},
		{pod, cpu(`" 1e308 "`), "spec.containers[1].resources.limits[cpu]", length},
		{pod, cpu(`1` + strings.Repeat("0", 1000000)), "spec.containers[1].resources.limits[cpu]", length},
		{pod, strings.Replace(cpu(`"1e-10000000"`), `"cpu"`, `"c\u0070u"`, 1), "spec.containers[1].resources.limits[cpu]", length},
		{pod, strings.Replace(cpu(`"1e-10000000"`), `"spec"`, `"unknown":[[{"a":"]"}]],"sp\u0065c"`, 1), "spec.containers[1].resources.limits[cpu]", length},
		{pod, strings.Replace(cpu(`"1e-10000000"`), `"cpu"`, `"cpu":"1","cpu"`, 1), "spec.containers[1].resources.limits[cpu]", length},
		{pod, `{"spec":{"volumes":[{"emptyDir":{"sizeLimit":"1e-10000000"}}]}}`, "spec.volumes[0].emptyDir.sizeLimit", length},
		{pod, `{"metadata":{"annotations":{"a":"1e-10000000"}},"Spec":{"1e-10000000":1e-10000000}}`, "", ""},
		{pod, cpu(`"1e64"`), "spec.containers[1].resources.limits[cpu]", amount},
		{pod, cpu(`"10E"`), "spec.containers[1].resources.limits[cpu]", amount},
		{pod, cpu(`9223372036854775808`), "spec.containers[1].resources.limits[cpu]", amount},
		{pod, cpu(`"-9223372036854775808"`), "spec.containers[1].resources.limits[cpu]", amount},
		{pod, cpu(`"9223372036854775807"`), "", ""},
		{pod, cpu(`"1e-64"`), "", ""}, // a nano, as every amount that is smaller
		{pod, cpu(`"100Ei"`), "", ""}, // the most there is, as every one with such a suffix that is greater
		{service, `{"spec":{"ports":[{"targetPort":4294967376}]}}`, "spec.ports[0].targetPort", "must be an integer of 32 bits or a string"},
		{service, `{"spec":{"ports":[{"targetPort":2147483647},{"targetPort":"x"},{"targetPort":-2147483648}]}}`, "", ""},
	} {
		obj, _, err := schema.Decode(tt.k.Stored(), []byte(tt.in))
		if err == nil {
			_, err = schema.Encode(obj)
		}
		var e *schema.ValueError
		switch {
		case tt.want == "":
			if errors.As(err, &e) {
				t.Errorf("%.200s: %v, want no such error", tt.in, err)
			}
		case !errors.As(err, &e) || len(e.Errs) != 1 || e.Errs[0].Field != tt.path || e.Errs[0].Detail != tt.want:
			t.Errorf("%.200s: %v, want %s: %s", tt.in, err, tt.path, tt.want)
		}
		if _, err := schema.Unmarshal(tt.k.Stored(), []byte(tt.in)); tt.want == length && !errors.As(err, &e) {
			t.Errorf("Unmarshal of %.200s: %v", tt.in, err)
		}
	}
}

// TestNumbersThatDoNotFit checks that the error of a number out of range names the field.
func TestNumbersThatDoNotFit(t *testing.T) {
	deployment, pod := BuiltIn().Resource("apps", "deployments"), BuiltIn().Resource("", "pods")
	for _, tt := range []struct {
		k        *schema.Kind
		in, want string
	}{
		{deployment, `{"spec":{"replicas":2147483648}}`, "spec.replicas"},
		{deployment, `{"spec":{"replicas":1.5}}`, "spec.replicas"},
		{deployment, `{"spec":{"replicas":1e400}}`, "spec.replicas"},
		{pod, `{"spec":{"terminationGracePeriodSeconds":9223372036854775808}}`, "spec.terminationGracePeriodSeconds"},
		{pod, `{"spec":{"containers":[{"ports":[{"containerPort":-2147483649}]}]}}`, "spec.containers.ports.containerPort"},
	} {
		if _, _, err := schema.Decode(tt.k.Stored(), []byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s named", tt.in, err, tt.want)
		}
	}
}

// TestManyErrorsAreTruncated checks that the error of a large body is small.
func TestManyErrorsAreTruncated(t *testing.T) {
	var members []string
	for n := range 10000 {
		members = append(members, fmt.Sprintf(`"r%d":"1e999"`, n))
	}
	_, _, err := schema.Decode(BuiltIn().Resource("", "nodes").Stored(), []byte(`{"status":{"capacity":{`+strings.Join(members, ",")+`}}}`))
	if err == nil || len(err.Error()) > 10000 {
		t.Errorf("%d bytes of error", len(fmt.Sprint(err)))
	}
}
