package lifecycle_test

import (
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/admissionregistration"
	"gantry/schema/apiregistration"
	"gantry/schema/core"
	"gantry/schema/discovery"
	"gantry/schema/flowcontrol"
)

func TestFlowSchemasAreDanglingWithoutTheirLevel(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(`apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: mine}
spec: {priorityLevelConfiguration: {name: mine}}
`)
	until := func(status flowcontrolv1.ConditionStatus) {
		t.Helper()
		c.Until(func() string {
			s, _ := controllertest.Get[*flowcontrolv1.FlowSchema](c, "", "mine")
			if len(s.Status.Conditions) == 1 && s.Status.Conditions[0].Status == status {
				return ""
			}
			return "Dangling " + string(status)
		}, flowcontrol.FlowSchema)
	}
	until(flowcontrolv1.ConditionTrue)
	c.Apply(`apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: mine}
spec: {type: Limited, limited: {limitResponse: {type: Reject}}}
`)
	until(flowcontrolv1.ConditionFalse)
	if _, _, err := c.Registry.Delete(c.Context, flowcontrol.PriorityLevelConfiguration, "", "mine", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(flowcontrolv1.ConditionTrue)
}

// availability waits until an API service has a reason; "": until it is gone.
func availability(c *controllertest.Cluster, name, reason string) *registrationv1.APIService {
	c.T.Helper()
	var is *registrationv1.APIService
	c.Until(func() string {
		s, ok := controllertest.Get[*registrationv1.APIService](c, "", name)
		if is = s; !ok && reason == "" || ok && len(s.Status.Conditions) == 1 && s.Status.Conditions[0].Reason == reason {
			return ""
		}
		return name + " is " + reason
	}, apiregistration.APIService)
	return is
}

func TestServedVersionsHaveAPIServices(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	for name, group := range map[string]int32{"v1.": 18000, "v1.apps": 17800, "v2.autoscaling": 17500, "v1.authorization.k8s.io": 17600} {
		if s := availability(c, name, "Local"); s.Spec.GroupPriorityMinimum != group || s.Labels["kube-aggregator.kubernetes.io/automanaged"] != "onstart" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	custom := &schema.Kind{
		Version: schema.Version{Group: "example.com", Version: "v1", Kind: "Widget", New: schema.NewUnstructured, NewList: schema.NewUnstructuredList},
		Plural:  "widgets", Singular: "widget", Namespaced: true, Prefix: "example.com/widgets",
	}
	if err := c.Registry.Kinds().Add(custom); err != nil {
		t.Fatal(err)
	}
	if s := availability(c, "v1.example.com", "Local"); s.Spec.GroupPriorityMinimum != 1000 || s.Spec.VersionPriority != 100 || s.Labels["kube-aggregator.kubernetes.io/automanaged"] != "true" {
		t.Errorf("%+v", s)
	}
	c.Registry.Kinds().Remove(custom)
	availability(c, "v1.example.com", "")
}

func TestAPIServicesFollowTheirService(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(`apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec: {group: metrics.k8s.io, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, service: {namespace: default, name: metrics}}
`)
	availability(c, "v1beta1.metrics.k8s.io", "ServiceNotFound")
	c.Apply("apiVersion: v1\nkind: Service\nmetadata: {name: metrics, namespace: default}\nspec: {ports: [{port: 443}]}\n")
	availability(c, "v1beta1.metrics.k8s.io", "EndpointsNotFound")
	c.Apply(`apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics, namespace: default, labels: {kubernetes.io/service-name: metrics}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}]
ports: [{name: "", port: 8443}]
`)
	availability(c, "v1beta1.metrics.k8s.io", "FailedDiscoveryCheck")
	for k, name := range map[*schema.Kind]string{core.Service: "metrics", discovery.EndpointSlice: "metrics"} {
		if _, _, err := c.Registry.Delete(c.Context, k, "default", name, registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	availability(c, "v1beta1.metrics.k8s.io", "ServiceNotFound")
}

func TestPoliciesAreTypeChecked(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: p}
spec:
  matchConstraints: {resourceRules: [{operations: ["CREATE"], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}]}
  validations: [{expression: "object.spec.x == 1"}]
`)
	c.Until(func() string {
		p, _ := controllertest.Get[*admissionv1.ValidatingAdmissionPolicy](c, "", "p")
		if s := p.Status; s.ObservedGeneration == 1 && len(s.TypeChecking.ExpressionWarnings) == 1 && s.TypeChecking.ExpressionWarnings[0].FieldRef == "spec.validations[0].expression" {
			return ""
		}
		return "the warning"
	}, admissionregistration.ValidatingAdmissionPolicy)
}
