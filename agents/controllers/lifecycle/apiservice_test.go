package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/agents/controllers/plantest"
)

func TestPlanRegistration(t *testing.T) {
	gv := kschema.GroupVersion{Group: "g", Version: "v1"}
	service := func(label string, made time.Time, version int32) *registrationv1.APIService {
		s := localService(gv, priority{1000, version}, label)
		s.CreationTimestamp = metav1.NewTime(made)
		return s
	}
	before, after := plantest.Now.Add(-time.Hour), plantest.Now.Add(time.Hour)
	builtIn, custom := service(onStart, time.Time{}, 1), service(always, time.Time{}, 1)
	given := service(onStart, before, 2)
	given.Spec.Service = &registrationv1.ServiceReference{Namespace: "n", Name: "s"}
	for _, tt := range []struct {
		name     string
		want, is *registrationv1.APIService
		synced   bool
		plan     string
	}{
		{name: "nothing"},
		{name: "new", want: builtIn, plan: "create"},
		{name: "deleted by an administrator", want: builtIn, synced: true},
		{name: "custom, deleted by an administrator", want: custom, synced: true, plan: "create"},
		{name: "as it should be", want: builtIn, is: service(onStart, before, 1)},
		{name: "of another version", want: builtIn, is: service(onStart, before, 2), plan: "update"},
		{name: "given to a service", want: builtIn, is: given},
		{name: "changed by an administrator", want: builtIn, is: service(onStart, before, 2), synced: true},
		{name: "custom, changed by an administrator", want: custom, is: service(always, before, 2), synced: true, plan: "update"},
		{name: "of an administrator", want: custom, is: service("", before, 2)},
		{name: "not served any more", is: service(onStart, before, 1), plan: "delete"},
		{name: "custom, not served any more", is: service(always, after, 1), synced: true, plan: "delete"},
		{name: "not served, made later", is: service(onStart, after, 1)},
		{name: "not served, of an administrator", is: service("", before, 1)},
	} {
		got := ""
		for _, a := range planRegistration(tt.want, tt.is, tt.synced, plantest.Now) {
			got += string(a.Do)
			if s := a.Object.(*registrationv1.APIService); s.Name != "v1.g" || a.Do != "delete" && s.Spec.VersionPriority != 1 {
				t.Errorf("%s: %+v", tt.name, s)
			}
		}
		if got != tt.plan {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.plan)
		}
	}
}

func TestPlanAvailability(t *testing.T) {
	port, no, name, number := int32(443), false, "https", int32(8443)
	remote := &registrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: "v1.g"}, Spec: registrationv1.APIServiceSpec{
		Service: &registrationv1.ServiceReference{Namespace: "n", Name: "s", Port: &port},
	}}
	service := func(kind corev1.ServiceType, port int32) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{Type: kind, Ports: []corev1.ServicePort{{Name: name, Port: port}}}}
	}
	slice := func(ready *bool, port string) []*discoveryv1.EndpointSlice {
		return []*discoveryv1.EndpointSlice{{Endpoints: []discoveryv1.Endpoint{{Conditions: discoveryv1.EndpointConditions{Ready: ready}}}, Ports: []discoveryv1.EndpointPort{{Name: &port, Port: &number}}}}
	}
	for _, tt := range []struct {
		name    string
		s       *registrationv1.APIService
		service *corev1.Service
		slices  []*discoveryv1.EndpointSlice
		check   error
		want    string
	}{
		{name: "local", s: &registrationv1.APIService{}, want: "True Local: Local APIServices are always available"},
		{name: "no service", s: remote, want: `False ServiceNotFound: service/s in "n" is not present`},
		{name: "no port", s: remote, service: service("ClusterIP", 80), want: `False ServicePortError: service/s in "n" is not listening on port 443`},
		{name: "no slices", s: remote, service: service("ClusterIP", 443), want: `False EndpointsNotFound: cannot find endpointslices for service/s in "n"`},
		{name: "not ready", s: remote, service: service("ClusterIP", 443), slices: slice(&no, name),
			want: `False MissingEndpoints: endpointslices for service/s in "n" have no addresses with port name "https"`},
		{name: "another port", s: remote, service: service("ClusterIP", 443), slices: slice(nil, "http"),
			want: `False MissingEndpoints: endpointslices for service/s in "n" have no addresses with port name "https"`},
		{name: "ready", s: remote, service: service("ClusterIP", 443), slices: slice(nil, name), want: `True Passed: all checks passed`},
		{name: "no answer", s: remote, service: service("ClusterIP", 443), slices: slice(nil, name), check: errors.New("refused"), want: `False FailedDiscoveryCheck: refused`},
		{name: "outside", s: remote, service: service("ExternalName", 80), want: `True Passed: all checks passed`},
	} {
		c := availabilityOf(tt.s, tt.service, tt.slices, func() error { return tt.check })
		if got := fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		plan := planAvailability(tt.s, c, metav1.NewTime(plantest.Now))
		if len(plan) != 1 {
			t.Fatalf("%s: plan %v", tt.name, plan)
		}
		written := plan[0].Object.(*registrationv1.APIService)
		later := metav1.NewTime(plantest.Now.Add(time.Hour))
		if plan := planAvailability(written, c, later); plan != nil {
			t.Errorf("%s: the plan repeats itself: %v", tt.name, plan)
		}
		c.Message = "another"
		plan = planAvailability(written, c, later)
		if got := plan[0].Object.(*registrationv1.APIService).Status.Conditions; len(got) != 1 || got[0].LastTransitionTime.Time != plantest.Now {
			t.Errorf("%s: another message made %+v", tt.name, got)
		}
	}
}
