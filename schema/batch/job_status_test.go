package batch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/schema/internal/checktest"
)

func condition(of batchv1.JobConditionType, status corev1.ConditionStatus) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{Type: of, Status: status})
	}
}

func TestJobStatusErrors(t *testing.T) {
	at := func(seconds int64) *metav1.Time { return &metav1.Time{Time: time.Unix(seconds, 0).UTC()} }
	complete := func(j *batchv1.Job) {
		condition("SuccessCriteriaMet", "True")(j)
		condition("Complete", "True")(j)
		j.Status.StartTime, j.Status.CompletionTime = at(10), at(20)
	}
	failing := func(j *batchv1.Job) {
		condition("FailureTarget", "True")(j)
		condition("Failed", "True")(j)
		j.Status.StartTime = at(10)
	}
	const conditions, notNegative = "status.conditions: Invalid value: ", "must be greater than or equal to 0"
	for _, tt := range []struct {
		name    string
		spec    func(*batchv1.Job)
		old, in func(*batchv1.Job)
		want    []string
	}{
		{"complete", nil, nil, complete, nil},
		{"failed", nil, nil, failing, nil},
		{"numbers", nil, nil, func(j *batchv1.Job) {
			j.Status = batchv1.JobStatus{Active: -1, Succeeded: -2, Failed: -3, Ready: to(int32(-4)), Terminating: to(int32(-5))}
		}, []string{
			"status.active: Invalid value: -1: " + notNegative, "status.succeeded: Invalid value: -2: " + notNegative, "status.failed: Invalid value: -3: " + notNegative,
			"status.ready: Invalid value: -4: " + notNegative, "status.terminating: Invalid value: -5: " + notNegative,
			"status.failed: Invalid value: -3: cannot decrease the failed counter", "status.succeeded: Invalid value: -2: cannot decrease the succeeded counter",
		}},
		{"uncounted", nil, nil, func(j *batchv1.Job) {
			j.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"a", ""}, Failed: []types.UID{"a"}}
		}, []string{
			`status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty`, `status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"`,
		}},
		{"both", nil, nil, func(j *batchv1.Job) { complete(j); failing(j) }, []string{
			conditions + "cannot set Complete=True and Failed=true conditions", conditions + "cannot set Complete=True and FailureTarget=true conditions",
			conditions + "cannot set SuccessCriteriaMet=True and Failed=true conditions", conditions + "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
		}},
		{"without the ones before", nil, nil, func(j *batchv1.Job) { condition("Complete", "True")(j) }, []string{
			"status.completionTime: Required value: completionTime is required for Complete jobs",
			conditions + "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
			"status.startTime: Required value: startTime is required for finished job",
		}},
		{"failed at once", nil, nil, func(j *batchv1.Job) { condition("Failed", "True")(j); j.Status.StartTime = at(1) },
			[]string{conditions + "cannot set Failed=True condition without the FailureTarget=true condition"}},
		{"times", nil, nil, func(j *batchv1.Job) { j.Status.StartTime, j.Status.CompletionTime = at(10), at(5) }, []string{
			`status.completionTime: Invalid value: "1970-01-01T00:00:05Z": cannot set completionTime when there is no Complete=True condition`,
			"status.completionTime: Invalid value: \"1970-01-01T00:00:05Z\": must be equal to or after `startTime`",
		}},
		{"pods of a finished job", nil, nil, func(j *batchv1.Job) {
			complete(j)
			j.Status.Active, j.Status.Terminating = 1, to(int32(2))
			j.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Failed: []types.UID{"a"}}
		}, []string{
			"status.active: Invalid value: 1: active>0 is invalid for finished job",
			`status.uncountedTerminatedPods: Invalid value: {"Succeeded":null,"Failed":["a"]}: must be empty for finished job`,
			"status.terminating: Invalid value: 2: terminating>0 is invalid for finished job",
		}},
		{"ready", nil, nil, func(j *batchv1.Job) { j.Status.Ready = to(int32(1)) }, []string{"status.ready: Invalid value: 1: cannot set more ready pods than active"}},
		{"indexes of a job without", nil, nil, func(j *batchv1.Job) { j.Status.CompletedIndexes, j.Status.FailedIndexes = "0", to("") }, []string{
			`status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode`,
			`status.failedIndexes: Invalid value: "": cannot set non-null failedIndexes when backoffLimitPerIndex is null`,
		}},
		{"indexes", func(j *batchv1.Job) { indexed(5)(j); j.Spec.BackoffLimitPerIndex = to(int32(1)) }, nil, func(j *batchv1.Job) {
			j.Status.CompletedIndexes, j.Status.FailedIndexes = "1,5", to("0-2")
		}, []string{
			`status.completedIndexes: Invalid value: "1,5": error parsing completedIndexes: too large index: "5"`,
			`status.failedIndexes: Invalid value: "0-2": failedIndexes and completedIndexes overlap at index: 1`,
		}},
		{"undone", nil, complete, func(j *batchv1.Job) { j.Status.StartTime = at(11) }, []string{
			conditions + "cannot disable the terminal Complete=True condition",
			`status.startTime: Invalid value: "1970-01-01T00:00:11Z": field is immutable for unsuspended job once set`,
			conditions + "cannot disable the SuccessCriteriaMet=True condition",
		}},
		{"resumed", nil, func(j *batchv1.Job) { condition("Suspended", "True")(j); j.Status.StartTime = at(1) },
			func(j *batchv1.Job) { condition("Suspended", "False")(j); j.Status.StartTime = at(2) }, nil},
		{"completed again", nil, complete, func(j *batchv1.Job) { complete(j); j.Status.CompletionTime = at(21) },
			[]string{`status.completionTime: Invalid value: "1970-01-01T00:00:21Z": field is immutable`}},
		{"what was wrong before stays", nil, condition("Complete", "True"), condition("Complete", "True"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := simpleJob(tt.spec)
			j := old.DeepCopy()
			if tt.old != nil {
				tt.old(old)
			}
			tt.in(j)
			if diff := cmp.Diff(tt.want, checktest.Texts(Job.Subresource("status").Validate(j, old))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestIndexes(t *testing.T) {
	for _, tt := range []struct {
		in, err string
		want    int32
	}{
		{"", "", 0}, {"0", "", 1}, {"0,2-4,9", "", 5},
		{"1,", `cannot convert string to integer for index: ""`, 0},
		{"-1", `cannot convert string to integer for index: ""`, 0},
		{"1-2-3", `the fragment "1-2-3" violates the requirement that an index interval can have at most two parts separated by '-'`, 0},
		{"2-2", "non-increasing order, previous: 2, current: 2", 0},
		{"3,3", "non-increasing order, previous: 3, current: 3", 0},
		{"2-10", `too large index: "10"`, 0},
	} {
		n, err := countIndexes(tt.in, 10)
		if n != tt.want || (err != nil || tt.err != "") && (err == nil || err.Error() != tt.err) {
			t.Errorf("%q: %d, %v", tt.in, n, err)
		}
	}
	for _, tt := range []struct {
		completed, failed string
		want              int32 // -1: none
	}{{"", "1", -1}, {"0,4-6", "1-3,7", -1}, {"0,4-6", "1-3,6", 6}, {"x,2", "y,2", 2}} {
		n, shared := firstShared(tt.completed, tt.failed, 10)
		if shared != (tt.want >= 0) || shared && n != tt.want {
			t.Errorf("%q and %q: %d, %v", tt.completed, tt.failed, n, shared)
		}
	}
}
