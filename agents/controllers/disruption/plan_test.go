package disruption

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/plantest"
	"gantry/schema/policy"
)

func planText(t *testing.T, plan []controller.Action) string {
	t.Helper()
	var b strings.Builder
	for _, a := range plan {
		b.WriteString(plantest.Lines([]controller.Action{a}))
		var status any
		switch obj := a.Object.(type) {
		case *policyv1.PodDisruptionBudget:
			status = obj.Status
		case *corev1.Pod:
			status = obj.Status
		}
		text, err := yaml.Marshal(status)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			b.WriteString("    " + line)
		}
	}
	return b.String()
}

// parsePods are pods of which name and what differs is given.
func parsePods(t *testing.T, text string) []*corev1.Pod {
	t.Helper()
	list := plantest.Parse[corev1.Pod](t, text)
	for _, p := range list {
		p.Namespace, p.UID = "default", types.UID("uid-"+p.Name)
	}
	return list
}

// A case has the budget, its pods, and "wanted": how many there should be.
func TestBudgetPlans(t *testing.T) {
	plantest.Golden(t, "budget", func(t *testing.T, files map[string]string) string {
		b := plantest.Parse[policyv1.PodDisruptionBudget](t, files["budget"])[0]
		wanted, _ := strconv.Atoi(strings.TrimSpace(files["wanted"]))
		plan, notDeleted, after, err := planStatus(b, parsePods(t, files["pods"]), int32(wanted), plantest.Now)
		if err != nil {
			return "error: " + err.Error() + "\n" + planText(t, planFailure(b, err, plantest.Now))
		}
		text := planText(t, plan)
		for _, p := range notDeleted {
			text += "not deleted: " + p.Name + "\n"
		}
		if after > 0 {
			text += fmt.Sprintf("again after %s\n", after)
		}
		return text
	})
}

func TestStaleConditions(t *testing.T) {
	plantest.Golden(t, "stale", func(t *testing.T, files map[string]string) string {
		plan, after, there := planStaleCondition(parsePods(t, files["pod"])[0], plantest.Now)
		return planText(t, plan) + fmt.Sprintf("there %t, after %s\n", there, after)
	})
}

// A budget never allows more disruptions than leave the pods that have to be healthy, its status is valid, and what was written is not
// written again.
func TestBudgetsLeaveEnoughPods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &policyv1.PodDisruptionBudget{}
		b.Namespace, b.Name, b.Generation = "default", "web", 3
		b.Status.DisruptedPods = nil
		amount := drawAmount(t)
		if rapid.Bool().Draw(t, "maxUnavailable") {
			b.Spec.MaxUnavailable = amount
		} else {
			b.Spec.MinAvailable = amount
		}
		var list []*corev1.Pod
		healthy := int32(0)
		for i := range rapid.IntRange(0, 8).Draw(t, "pods") {
			var options []plantest.PodOption
			switch rapid.IntRange(0, 2).Draw(t, "pod") {
			case 0:
				healthy++
			case 1:
				options = append(options, plantest.NotReady)
			case 2:
				options = append(options, plantest.Deleting)
			}
			list = append(list, plantest.MakePod(fmt.Sprint("web-", i), options...))
		}
		wanted := rapid.Int32Range(0, 10).Draw(t, "wanted")
		plan, _, _, err := planStatus(b, list, wanted, plantest.Now)
		if err != nil || len(plan) != 1 {
			t.Fatalf("plan %v, %v", plan, err)
		}
		next := plan[0].Object.(*policyv1.PodDisruptionBudget)
		s := next.Status
		if s.CurrentHealthy != healthy || s.DisruptionsAllowed < 0 || s.DisruptionsAllowed > 0 && healthy-s.DisruptionsAllowed < s.DesiredHealthy || s.ObservedGeneration != 3 {
			t.Fatalf("status %+v of %d healthy pods", s, healthy)
		}
		if errs := policy.PodDisruptionBudget.Subresource("status").Validate(next, b); len(errs) > 0 {
			t.Fatalf("the status is refused: %v", errs)
		}
		if again, _, _, err := planStatus(next, list, wanted, plantest.Now); err != nil || len(again) > 0 {
			t.Fatalf("again: %v, %v", again, err)
		}
	})
}

func drawAmount(t *rapid.T) *intstr.IntOrString {
	if rapid.Bool().Draw(t, "percent") {
		v := intstr.FromString(fmt.Sprint(rapid.IntRange(0, 100).Draw(t, "amount"), "%"))
		return &v
	}
	v := intstr.FromInt32(rapid.Int32Range(0, 9).Draw(t, "amount"))
	return &v
}
