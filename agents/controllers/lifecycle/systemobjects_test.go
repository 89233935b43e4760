package lifecycle_test

import (
	"testing"

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
