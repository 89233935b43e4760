package lifecycle_test

import (
	"fmt"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/flowcontrol"
	"gantry/schema/networking"
	"gantry/schema/scheduling"
)

func TestSystemObjects(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	there := func() string {
		for name, k := range map[string]*schema.Kind{
			"system-node-critical": scheduling.PriorityClass, "system-cluster-critical": scheduling.PriorityClass,
			"exempt": flowcontrol.FlowSchema, "catch-all": flowcontrol.PriorityLevelConfiguration,
			"kubernetes": networking.ServiceCIDR,
		} {
			if _, err := c.Registry.Get(c.Context, k, "", name, "0"); err != nil {
				return k.Kind + " " + name
			}
		}
		return ""
	}
	kinds := []*schema.Kind{scheduling.PriorityClass, flowcontrol.FlowSchema, flowcontrol.PriorityLevelConfiguration, networking.ServiceCIDR}
	c.Until(there, kinds...)
	gone, _, err := c.Registry.Delete(c.Context, flowcontrol.FlowSchema, "", "exempt", registry.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if it, err := c.Registry.Get(c.Context, flowcontrol.FlowSchema, "", "exempt", "0"); err != nil || it.UID() == gone.UID() {
			return "the schema again"
		}
		return ""
	}, kinds...)
}

// Suggested flow schemas and priority levels are kept as they are delivered, unless their annotation or a changed spec without one says otherwise.
func TestSuggestedFlowControl(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	level := func(name string) (shares int32, annotation string) {
		l, ok := controllertest.Get[*flowcontrolv1.PriorityLevelConfiguration](c, "", name)
		if !ok {
			return 0, ""
		}
		return *l.Spec.Limited.NominalConcurrencyShares, l.Annotations[flowcontrolv1.AutoUpdateAnnotationKey]
	}
	until := func(name string, shares int32, annotation string) {
		t.Helper()
		c.Until(func() string {
			if s, a := level(name); s != shares || a != annotation {
				return fmt.Sprintf("%s with %d shares and annotation %q, have %d and %q", name, shares, annotation, s, a)
			}
			return ""
		}, flowcontrol.PriorityLevelConfiguration)
	}
	change := func(name string, shares int32, annotation string) {
		t.Helper()
		_, err := registry.For[*flowcontrolv1.PriorityLevelConfiguration](c.Registry).Modify(c.Context, "", name, func(l *flowcontrolv1.PriorityLevelConfiguration) error {
			l.Spec.Limited.NominalConcurrencyShares = &shares
			l.Annotations = map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: annotation}
			if annotation == "" {
				l.Annotations = nil
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	until("workload-low", 100, "true")
	until("system", 30, "true")
	until("global-default", 20, "true")
	change("workload-low", 5, "true")
	until("workload-low", 100, "true")
	change("system", 5, "false")
	change("global-default", 5, "")
	until("global-default", 5, "false")
	c.Apply(`apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: old, annotations: {apf.kubernetes.io/autoupdate-spec: "true"}}
spec: {priorityLevelConfiguration: {name: system}, matchingPrecedence: 700}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: own}
spec: {priorityLevelConfiguration: {name: system}, matchingPrecedence: 700}
`)
	c.Until(func() string {
		if _, ok := controllertest.Get[*flowcontrolv1.FlowSchema](c, "", "old"); ok {
			return "what is delivered no more to go"
		}
		return ""
	}, flowcontrol.FlowSchema)
	if _, ok := controllertest.Get[*flowcontrolv1.FlowSchema](c, "", "own"); !ok {
		t.Error("the administrator's own flow schema is gone")
	}
	if s, a := level("system"); s != 5 || a != "false" {
		t.Errorf("the level that is not to be updated has %d shares and annotation %q", s, a)
	}
}
