package lifecycle

import (
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/plantest"
	"gantry/schema/flowcontrol"
)

func TestPlanFlowSchema(t *testing.T) {
	now := metav1.NewTime(plantest.Now)
	s := flowcontrol.MandatoryFlowSchemas()[1]
	s.Status.Conditions = []flowcontrolv1.FlowSchemaCondition{{Type: "Other", Status: flowcontrolv1.ConditionTrue}}
	for _, step := range []struct {
		exists bool
		want   flowcontrolv1.FlowSchemaCondition
	}{
		{false, flowcontrolv1.FlowSchemaCondition{Type: "Dangling", Status: "True", Reason: "NotFound", LastTransitionTime: now,
			Message: `This FlowSchema references the PriorityLevelConfiguration object named "catch-all" but there is no such object`}},
		{true, flowcontrolv1.FlowSchemaCondition{Type: "Dangling", Status: "False", Reason: "Found", LastTransitionTime: now,
			Message: `This FlowSchema references the PriorityLevelConfiguration object named "catch-all" and it exists`}},
	} {
		plan := planFlowSchema(s, step.exists, now)
		if len(plan) != 1 {
			t.Fatalf("exists %v: plan %v", step.exists, plan)
		}
		s = plan[0].Object.(*flowcontrolv1.FlowSchema)
		if c := s.Status.Conditions; len(c) != 2 || c[0].Type != "Other" || c[1] != step.want {
			t.Errorf("exists %v: conditions %+v", step.exists, c)
		}
		if plan := planFlowSchema(s, step.exists, now); plan != nil {
			t.Errorf("exists %v: the plan repeats itself: %v", step.exists, plan)
		}
	}
}
