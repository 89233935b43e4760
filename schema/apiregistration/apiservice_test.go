package apiregistration

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/schema/internal/checktest"
)

func metrics() *service {
	return &service{ObjectMeta: metav1.ObjectMeta{Name: "v1beta1.metrics.k8s.io"}, Spec: registrationv1.APIServiceSpec{
		Group: "metrics.k8s.io", Version: "v1beta1", GroupPriorityMinimum: 100, VersionPriority: 100, InsecureSkipTLSVerify: true,
		Service: &registrationv1.ServiceReference{Namespace: "kube-system", Name: "metrics-server"},
	}}
}

func TestErrors(t *testing.T) {
	checktest.Create(t, APIService, metrics, []checktest.Case[*service]{
		{Name: "good"},
		{Name: "name", In: func(s *service) { s.Name = "x" }, Want: []string{"metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"v1beta1.metrics.k8s.io\""}},
		{Name: "generateName", In: func(s *service) { s.GenerateName = "x" }, Want: []string{"metadata.generateName: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"v1beta1.metrics.k8s.io\""}},
		{Name: "spec", In: func(s *service) {
			s.Name, s.Spec = "V1.", registrationv1.APIServiceSpec{Version: "V1", VersionPriority: 1001, CABundle: []byte("x"), InsecureSkipTLSVerify: true}
		}, Want: []string{
			"spec.group: Required value: only v1 may have an empty group and it better be legacy kube",
			`spec.version: Invalid value: "V1": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`,
			"spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000", "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
			`spec.caBundle: Invalid value: "1 bytes": local APIServices may not have a caBundle`, "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
		}},
		{Name: "service", In: func(s *service) {
			*s.Spec.Service, s.Spec.CABundle = registrationv1.ServiceReference{Port: new(int32)}, []byte("x")
		}, Want: []string{
			"spec.service.namespace: Required value", "spec.service.name: Required value", "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
			"spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
		}},
	})
	checktest.Part(t, APIService, "status", metrics, []checktest.Case[*service]{
		{Name: "status", In: func(s *service) { s.Status.Conditions = []registrationv1.APIServiceCondition{{Status: "x"}} },
			Want: []string{`status.conditions[0].status: Unsupported value: "x": supported values: "True", "False", "Unknown"`}},
	})
}

func TestRowsAndParts(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	local := &service{ObjectMeta: metav1.ObjectMeta{Name: "v1.", CreationTimestamp: now}}
	APIService.PrepareCreate(local)
	if diff := cmp.Diff([]any{"v1.", "Local", "True", "0s"}, APIService.Row(local, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	old := metrics()
	APIService.Default(old)
	APIService.PrepareCreate(old)
	if *old.Spec.Service.Port != 443 || availability(old) != "Unknown" {
		t.Errorf("created %+v", old)
	}
	s := old.DeepCopy()
	s.Spec.Group, s.Labels = "x", map[string]string{"a": "b"}
	s.Status.Conditions = []registrationv1.APIServiceCondition{{Type: "Available", Status: "False", Reason: "MissingEndpoints"}}
	updated := s.DeepCopy()
	APIService.PrepareUpdate(updated, old)
	APIService.Subresource("status").Prepare(s, old)
	if updated.Status.Conditions != nil || s.Labels != nil || s.Spec.Group != "metrics.k8s.io" || availability(s) != "False (MissingEndpoints)" {
		t.Errorf("updated %+v, status %+v", updated, s)
	}
}
