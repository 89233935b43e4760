package job

import (
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/plantest"
	"gantry/schema/batch"
)

// planText is what is done with a job, and what is written.
func planText(t *testing.T, plan []controller.Action) string {
	t.Helper()
	var b strings.Builder
	for _, a := range plan {
		b.WriteString(plantest.Lines([]controller.Action{a}))
		var shown any
		switch obj := a.Object.(type) {
		case *batchv1.Job:
			shown = obj.Status
			if a.Do == controller.Create {
				shown = obj.ObjectMeta
			}
		case *batchv1.CronJob:
			shown = obj.Status
		case *corev1.Pod:
			if a.Do != controller.Create {
				continue
			}
			shown = struct {
				GenerateName        string
				Finalizers          []string
				Labels, Annotations map[string]string
				Hostname            string
				Env                 []corev1.EnvVar
			}{obj.GenerateName, obj.Finalizers, obj.Labels, obj.Annotations, obj.Spec.Hostname, obj.Spec.Containers[0].Env}
		}
		text, err := yaml.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "creationTimestamp: null") {
				b.WriteString("    " + line)
			}
		}
	}
	return b.String()
}

// parseJob is a job with its defaults.
func parseJob(t *testing.T, text string) *batchv1.Job {
	t.Helper()
	j := plantest.Parse[batchv1.Job](t, text)[0]
	batch.Job.Default(j)
	return j
}

// parsePods are pods of which name, phase and what differs is given.
func parsePods(t *testing.T, text string) []*corev1.Pod {
	t.Helper()
	list := plantest.Parse[corev1.Pod](t, text)
	for _, p := range list {
		p.Namespace = "default"
		if p.UID == "" {
			p.UID = types.UID("uid-" + p.Name)
		}
	}
	return list
}

func TestJobPlans(t *testing.T) {
	plantest.Golden(t, "job", func(t *testing.T, files map[string]string) string {
		job := parseJob(t, files["job"])
		e := evaluate(job, parsePods(t, files["pods"]), nil, plantest.Now)
		pods, after := e.planPods()
		_, failed := files["pods fail"]
		text := planText(t, pods) + planText(t, e.planStatus(failed))
		if after > 0 {
			text += fmt.Sprintf("again after %s\n", after)
		}
		return text
	})
}
