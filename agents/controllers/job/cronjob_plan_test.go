package job

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/plantest"
	"gantry/schema/batch"
)

// A case has the cron job, its jobs, the names of active jobs that are gone, and the time, "now", where it is not that of plantest.
func TestCronJobPlans(t *testing.T) {
	plantest.Golden(t, "cronjob", func(t *testing.T, files map[string]string) string {
		cj := plantest.Parse[batchv1.CronJob](t, files["cronjob"])[0]
		batch.CronJob.Default(cj)
		jobs := plantest.Parse[batchv1.Job](t, files["jobs"])
		for _, j := range jobs {
			j.Namespace, j.UID = "default", types.UID("uid-"+j.Name)
		}
		gone := map[types.UID]bool{}
		for name := range strings.FieldsSeq(files["gone"]) {
			gone[types.UID("uid-"+name)] = true
		}
		now := plantest.Now
		if text := strings.TrimSpace(files["now"]); text != "" {
			var err error
			if now, err = time.Parse(time.RFC3339, text); err != nil {
				t.Fatal(err)
			}
		}
		p := planCronJob(cj, jobs, gone, now)
		var b strings.Builder
		for _, e := range p.events {
			fmt.Fprintf(&b, "event %s: %s\n", e.Reason, e.Message)
		}
		b.WriteString(planText(t, p.deletions) + planText(t, p.creation) + planText(t, p.status))
		if p.after > 0 {
			fmt.Fprintf(&b, "again after %s\n", p.after)
		}
		return b.String()
	})
}
