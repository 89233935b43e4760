package batch

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
	"gantry/schema/internal/checktest"
)

func simpleCronJob() *batchv1.CronJob {
	c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "tick", Namespace: "default"}}
	c.Spec.Schedule = "*/5 * * * *"
	c.Spec.JobTemplate.Spec.Template.Spec.RestartPolicy = "OnFailure"
	c.Spec.JobTemplate.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "perl"}}
	CronJob.Default(c)
	return c
}

func TestCronJobDefaults(t *testing.T) {
	if s := simpleCronJob().Spec; s.ConcurrencyPolicy != "Allow" || *s.Suspend || *s.SuccessfulJobsHistoryLimit != 3 || *s.FailedJobsHistoryLimit != 1 ||
		s.JobTemplate.Spec.Parallelism != nil || s.JobTemplate.Spec.Template.Spec.DNSPolicy != "ClusterFirst" {
		t.Errorf("got %+v", s)
	}
}

func TestCronJobErrors(t *testing.T) {
	const inSchedule = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
	schedule := func(text string) func(*batchv1.CronJob) { return func(c *batchv1.CronJob) { c.Spec.Schedule = text } }
	zone := func(text string) func(*batchv1.CronJob) { return func(c *batchv1.CronJob) { c.Spec.TimeZone = &text } }
	for _, tt := range []struct {
		name string
		in   func(*batchv1.CronJob)
		want []string
	}{
		{"valid", zone("America/Argentina/Buenos_Aires"), nil},
		{"descriptor", schedule("@every 1h"), nil},
		{"no schedule", schedule(""), []string{"spec.schedule: Required value"}},
		{"schedule", schedule("* * *"), []string{`spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]`}},
		{"zone in the schedule", schedule("TZ=UTC * * * * *"), []string{`spec.schedule: Invalid value: "TZ=UTC * * * * *": ` + inSchedule}},
		{"zone alone", schedule("TZ=0"), []string{
			`spec.schedule: Invalid value: "TZ=0": invalid schedule format: runtime error: slice bounds out of range [:-1]`, `spec.schedule: Invalid value: "TZ=0": ` + inSchedule,
		}},
		{"empty zone", zone(""), []string{`spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string`}},
		{"a path", zone("../etc/passwd"), []string{`spec.timeZone: Invalid value: "../etc/passwd": unknown time zone ../etc/passwd`}},
		{"local", zone("local"), []string{
			`spec.timeZone: Invalid value: "local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones`,
			`spec.timeZone: Invalid value: "local": unknown time zone local`,
		}},
		{"unknown", zone("Moon/Crater"), []string{`spec.timeZone: Invalid value: "Moon/Crater": unknown time zone Moon/Crater`}},
		{"numbers", func(c *batchv1.CronJob) {
			c.Spec.StartingDeadlineSeconds, c.Spec.SuccessfulJobsHistoryLimit, c.Spec.FailedJobsHistoryLimit = to(int64(-1)), to(int32(-2)), to(int32(-3))
			c.Spec.ConcurrencyPolicy = "x"
		}, []string{
			"spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
			`spec.concurrencyPolicy: Unsupported value: "x": supported values: "Allow", "Forbid", "Replace"`,
			"spec.successfulJobsHistoryLimit: Invalid value: -2: must be greater than or equal to 0",
			"spec.failedJobsHistoryLimit: Invalid value: -3: must be greater than or equal to 0",
		}},
		{"template", func(c *batchv1.CronJob) {
			c.Spec.JobTemplate.Spec.Selector, c.Spec.JobTemplate.Spec.ManualSelector = &metav1.LabelSelector{}, to(true)
			c.Spec.JobTemplate.Spec.Template.Spec.RestartPolicy = "Always"
		}, []string{
			`spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`,
			"spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated",
			`spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"`,
		}},
		{"name", func(c *batchv1.CronJob) { c.Name = strings.Repeat("a", 53) },
			[]string{`metadata.name: Invalid value: "` + strings.Repeat("a", 53) + `": must be no more than 52 characters`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := simpleCronJob()
			tt.in(c)
			if diff := cmp.Diff(tt.want, checktest.Texts(CronJob.Validate(c))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCronJobUpdates checks that an update may keep values that were stored before they were refused.
func TestCronJobUpdates(t *testing.T) {
	old := simpleCronJob()
	old.Name, old.Spec.Schedule, old.Spec.TimeZone = strings.Repeat("a", 60), "TZ=UTC 1 * * * *", to("Gone/Zone")
	c := old.DeepCopy()
	c.Spec.Schedule = "TZ=UTC 2 * * * *"
	want := []string{`spec.schedule: Invalid value: "TZ=UTC 2 * * * *": cannot use both timeZone field and TZ or CRON_TZ in schedule`}
	if diff := cmp.Diff(want, checktest.Texts(CronJob.ValidateUpdate(c, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want = []string{"cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"}
	if diff := cmp.Diff(want, CronJob.Warnings(c, old)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	c.Spec.Schedule = strings.Repeat("1,", 1<<20)
	if diff := cmp.Diff([]string{"spec.schedule: Too long: may not be more than 4096 bytes"}, checktest.Texts(CronJob.Bound(c))); diff != "" {
		t.Errorf("bound (-want +got):\n%s", diff)
	}
}

func TestWarnings(t *testing.T) {
	j := simpleJob(func(j *batchv1.Job) { indexed(100001)(j); j.Name = "a.b" })
	want := []string{
		"metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
		"spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
	}
	if diff := cmp.Diff(want, Job.Warnings(j, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Job.Warnings(j, j); got != nil {
		t.Errorf("of an update that changes nothing: %q", got)
	}
}

func TestRows(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	ago := func(seconds int) *metav1.Time {
		return &metav1.Time{Time: now.Add(-time.Duration(seconds) * time.Second)}
	}
	job := func(in func(*batchv1.Job)) *batchv1.Job {
		j := simpleJob(manual)
		j.CreationTimestamp = *ago(60)
		in(j)
		return j
	}
	cron := simpleCronJob()
	cron.CreationTimestamp, cron.Status.LastScheduleTime, cron.Spec.TimeZone = *ago(60), ago(30), to("UTC")
	cron.Status.Active = make([]corev1.ObjectReference, 2)
	for _, tt := range []struct {
		name string
		kind *schema.Kind
		obj  schema.Object
		want []any
	}{
		{"running", Job, job(func(j *batchv1.Job) { j.Status.StartTime = ago(50) }), []any{"pi", "Running", "0/1", "50s", "60s", "c", "perl", "a=b"}},
		{"complete", Job, job(func(j *batchv1.Job) {
			condition("Complete", "True")(j)
			j.Status.Succeeded, j.Status.StartTime, j.Status.CompletionTime = 1, ago(50), ago(45)
		}), []any{"pi", "Complete", "1/1", "5s", "60s", "c", "perl", "a=b"}},
		{"work queue", Job, job(func(j *batchv1.Job) {
			j.Spec.Completions, j.Spec.Parallelism = nil, to(int32(3))
			condition("Suspended", "True")(j)
		}),
			[]any{"pi", "Suspended", "0/1 of 3", "", "60s", "c", "perl", "a=b"}},
		{"empty", Job, &batchv1.Job{}, []any{"", "Running", "0/1", "", "<unknown>", "", "", "<none>"}},
		{"cron job", CronJob, cron, []any{"tick", "*/5 * * * *", "UTC", "False", int64(2), "30s", "60s", "c", "perl", "<none>"}},
		{"empty cron job", CronJob, &batchv1.CronJob{}, []any{"", "", "<none>", "<unset>", int64(0), "<none>", "<unknown>", "", "", "<none>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.kind.Row(tt.obj, now)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
			if len(got) != len(tt.kind.Columns) {
				t.Errorf("%d cells for %d columns", len(got), len(tt.kind.Columns))
			}
		})
	}
}
