package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/flowcontrol"
)

// levelKey is the key of a priority level: the flow schemas that name it are enqueued. Other keys are names of flow schemas.
const levelKey = "level/"

// NewFlowSchema tells in the status of flow schemas whether their priority level exists.
func NewFlowSchema(e *controller.Env) controller.Reconciler {
	return controller.Reconciler{
		Reconcile: func(ctx context.Context, key string) (time.Duration, error) {
			if level, ok := strings.CutPrefix(key, levelKey); ok {
				return 0, enqueueSchemasOf(ctx, e, level)
			}
			return 0, reconcileFlowSchema(ctx, e, key)
		},
		Watches: []controller.Watch{
			{Kind: flowcontrol.FlowSchema, Keys: func(_, current schema.Object) {
				if current != nil {
					e.Enqueue(current.GetName(), 0)
				}
			}},
			{Kind: flowcontrol.PriorityLevelConfiguration, Keys: func(old, current schema.Object) {
				if old == nil {
					e.Enqueue(levelKey+current.GetName(), 0)
				} else if current == nil {
					e.Enqueue(levelKey+old.GetName(), 0)
				}
			}},
		},
	}
}

func enqueueSchemasOf(ctx context.Context, e *controller.Env, level string) error {
	all, err := registry.For[*flowcontrolv1.FlowSchema](e.Registry).CachedList(ctx, "", "")
	for _, s := range all {
		if s.Spec.PriorityLevelConfiguration.Name == level {
			e.Enqueue(s.Name, 0)
		}
	}
	return err
}

func reconcileFlowSchema(ctx context.Context, e *controller.Env, name string) error {
	s, err := registry.For[*flowcontrolv1.FlowSchema](e.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = registry.For[*flowcontrolv1.PriorityLevelConfiguration](e.Registry).Cached(ctx, "", s.Spec.PriorityLevelConfiguration.Name)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return fmt.Errorf("getting the priority level of flow schema %s: %w", name, err)
	}
	return e.Execute(ctx, planFlowSchema(s, err == nil, metav1.Now()))
}

// planFlowSchema sets the condition Dangling.
func planFlowSchema(s *flowcontrolv1.FlowSchema, levelExists bool, now metav1.Time) []controller.Action {
	level := s.Spec.PriorityLevelConfiguration.Name
	want := flowcontrolv1.FlowSchemaCondition{
		Type: flowcontrolv1.FlowSchemaConditionDangling, Status: flowcontrolv1.ConditionFalse, Reason: "Found", LastTransitionTime: now,
		Message: fmt.Sprintf("This FlowSchema references the PriorityLevelConfiguration object named %q and it exists", level),
	}
	if !levelExists {
		want.Status, want.Reason = flowcontrolv1.ConditionTrue, "NotFound"
		want.Message = fmt.Sprintf("This FlowSchema references the PriorityLevelConfiguration object named %q but there is no such object", level)
	}
	changed := s.DeepCopy()
	list := &changed.Status.Conditions
	for i, c := range *list {
		if c.Type != want.Type {
			continue
		}
		if c.Status == want.Status && c.Reason == want.Reason && c.Message == want.Message {
			return nil
		}
		(*list)[i] = want
		list = nil
		break
	}
	if list != nil {
		*list = append(*list, want)
	}
	return []controller.Action{{Do: controller.UpdateStatus, Kind: flowcontrol.FlowSchema, Object: changed, Reason: "priority level " + level + ": " + want.Reason}}
}
