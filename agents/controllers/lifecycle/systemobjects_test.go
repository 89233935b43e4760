package lifecycle_test

import (
	"testing"

	schedulingv1 "k8s.io/api/scheduling/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/schema/scheduling"
)

func TestSystemPriorityClasses(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Until(func() string {
		for name, value := range map[string]int32{"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000} {
			if class, ok := controllertest.Get[*schedulingv1.PriorityClass](c, "", name); !ok || class.Value != value {
				return name
			}
		}
		return ""
	}, scheduling.PriorityClass)
}
