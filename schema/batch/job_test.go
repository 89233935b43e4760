package batch

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func to[T any](v T) *T { return &v }

// simpleJob is a job as it is stored, changed by in before it is prepared.
func simpleJob(in func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "pi", Namespace: "default", UID: "u1"}}
	j.Spec.Template.Spec.RestartPolicy = "Never"
	j.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "perl"}}
	if in != nil {
		in(j)
	}
	Job.Default(j)
	Job.PrepareCreate(j)
	return j
}

func TestJobDefaults(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		in                       func(*batchv1.JobSpec)
		completions, parallelism string
		backoff                  int32
		replacement              batchv1.PodReplacementPolicy
	}{
		{"nothing", func(*batchv1.JobSpec) {}, "1", "1", 6, "TerminatingOrFailed"},
		{"parallelism", func(s *batchv1.JobSpec) { s.Parallelism = to(int32(3)) }, "nil", "3", 6, "TerminatingOrFailed"},
		{"per index", func(s *batchv1.JobSpec) {
			s.BackoffLimitPerIndex, s.Completions = to(int32(1)), to(int32(2))
			s.PodFailurePolicy = &batchv1.PodFailurePolicy{}
		}, "2", "1", 1<<31 - 1, "Failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := &batchv1.Job{}
			tt.in(&j.Spec)
			Job.Default(j)
			text := func(n *int32) string {
				if n == nil {
					return "nil"
				}
				return string(rune('0' + *n))
			}
			if s := j.Spec; text(s.Completions) != tt.completions || text(s.Parallelism) != tt.parallelism || *s.BackoffLimit != tt.backoff ||
				*s.PodReplacementPolicy != tt.replacement || *s.CompletionMode != "NonIndexed" || *s.Suspend || *s.ManualSelector {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestJobIsGivenItsSelector(t *testing.T) {
	generated := map[string]string{
		"batch.kubernetes.io/controller-uid": "u1", "batch.kubernetes.io/job-name": "pi", "controller-uid": "u1", "job-name": "pi",
	}
	with := func(key, value string) map[string]string {
		m := map[string]string{key: value}
		for k, v := range generated {
			if k != key {
				m[k] = v
			}
		}
		return m
	}
	for _, tt := range []struct {
		name                    string
		in                      func(*batchv1.Job)
		labels, template, match map[string]string
	}{
		{"plain", nil, generated, generated, map[string]string{"batch.kubernetes.io/controller-uid": "u1"}},
		{"labels of the template", func(j *batchv1.Job) { j.Spec.Template.Labels = map[string]string{"a": "b"} },
			with("a", "b"), with("a", "b"), map[string]string{"batch.kubernetes.io/controller-uid": "u1"}},
		{"own labels", func(j *batchv1.Job) { j.Labels = map[string]string{"a": "b"} },
			map[string]string{"a": "b"}, generated, map[string]string{"batch.kubernetes.io/controller-uid": "u1"}},
		{"a label of another value stays", func(j *batchv1.Job) {
			j.Labels, j.Spec.Template.Labels = map[string]string{"a": "b"}, map[string]string{"job-name": "x"}
		}, map[string]string{"a": "b"}, with("job-name", "x"), map[string]string{"batch.kubernetes.io/controller-uid": "u1"}},
		{"manual", func(j *batchv1.Job) {
			j.Spec.ManualSelector, j.Spec.Template.Labels = to(true), map[string]string{"a": "b"}
			j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}, map[string]string{"a": "b"}, map[string]string{"a": "b"}, map[string]string{"a": "b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := simpleJob(tt.in)
			for _, m := range []struct {
				of        string
				want, got map[string]string
			}{{"labels", tt.labels, j.Labels}, {"template", tt.template, j.Spec.Template.Labels}, {"selector", tt.match, j.Spec.Selector.MatchLabels}} {
				if diff := cmp.Diff(m.want, m.got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", m.of, diff)
				}
			}
		})
	}
}

func indexed(n int32) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		j.Spec.CompletionMode, j.Spec.Completions, j.Spec.Parallelism = to(batchv1.IndexedCompletion), &n, &n
	}
}

func TestJobErrors(t *testing.T) {
	const notNegative = "must be greater than or equal to 0"
	for _, tt := range []struct {
		name string
		in   func(*batchv1.Job)
		want []string
	}{
		{"valid", func(*batchv1.Job) {}, nil},
		{"numbers", func(j *batchv1.Job) {
			s := &j.Spec
			s.Parallelism, s.Completions, s.ActiveDeadlineSeconds, s.BackoffLimit = to(int32(-1)), to(int32(-2)), to(int64(-3)), to(int32(-4))
			s.TTLSecondsAfterFinished, s.BackoffLimitPerIndex, s.MaxFailedIndexes = to(int32(-5)), to(int32(-6)), to(int32(-7))
		}, []string{
			"spec.parallelism: Invalid value: -1: " + notNegative, "spec.completions: Invalid value: -2: " + notNegative, "spec.activeDeadlineSeconds: Invalid value: -3: " + notNegative,
			"spec.backoffLimit: Invalid value: -4: " + notNegative, "spec.ttlSecondsAfterFinished: Invalid value: -5: " + notNegative,
			"spec.backoffLimitPerIndex: Invalid value: -6: " + notNegative, "spec.maxFailedIndexes: Invalid value: -7: " + notNegative,
			"spec.backoffLimitPerIndex: Invalid value: -6: requires indexed completion mode", "spec.maxFailedIndexes: Invalid value: -7: requires indexed completion mode",
		}},
		{"managed by", func(j *batchv1.Job) { j.Spec.ManagedBy = to("example.com/" + strings.Repeat("a", 60)) }, []string{"spec.managedBy: Too long: may not be more than 63 bytes"}},
		{"managed by nobody", func(j *batchv1.Job) { j.Spec.ManagedBy = to("me") },
			[]string{`spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")`}},
		{"mode", func(j *batchv1.Job) { j.Spec.CompletionMode = to(batchv1.CompletionMode("x")) },
			[]string{`spec.completionMode: Unsupported value: "x": supported values: "NonIndexed", "Indexed"`}},
		{"indexed", func(j *batchv1.Job) {
			j.Spec.CompletionMode, j.Spec.Parallelism, j.Spec.MaxFailedIndexes = to(batchv1.IndexedCompletion), to(int32(100001)), to(int32(100001))
			j.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: to("1")}}}
		}, []string{
			"spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified", "spec.completions: Required value: when completion mode is Indexed",
			"spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
			"spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 100000",
		}},
		{"many indexes", func(j *batchv1.Job) {
			indexed(100001)(j)
			j.Spec.Parallelism, j.Spec.BackoffLimitPerIndex = to(int32(10001)), to(int32(1))
		}, []string{
			"spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
			"spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
		}},
		{"more failed than all", func(j *batchv1.Job) {
			indexed(5)(j)
			j.Spec.BackoffLimitPerIndex, j.Spec.MaxFailedIndexes = to(int32(1)), to(int32(6))
		}, []string{"spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"}},
		{"host name", func(j *batchv1.Job) {
			indexed(11)(j)
			j.Name = strings.Repeat("a", 61)
			j.Spec.ManualSelector = to(true)
			manual(j)
		},
			[]string{`metadata.name: Invalid value: "` + strings.Repeat("a", 61) + `": will not able to create pod with invalid DNS label: ` + strings.Repeat("a", 61) + "-10"}},
		{"always", func(j *batchv1.Job) { j.Spec.Template.Spec.RestartPolicy = "Always" },
			[]string{`spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`}},
		{"success policy without indexes", func(j *batchv1.Job) { j.Spec.SuccessPolicy = &batchv1.SuccessPolicy{} },
			[]string{`spec.successPolicy: Invalid value: {"Rules":null}: requires indexed completion mode`}},
		{"replacement", func(j *batchv1.Job) { j.Spec.PodReplacementPolicy = to(batchv1.PodReplacementPolicy("x")) },
			[]string{`spec.podReplacementPolicy: Unsupported value: "x": supported values: "Failed", "TerminatingOrFailed"`}},
		{"label of another", func(j *batchv1.Job) { j.Spec.Template.Labels = map[string]string{"job-name": "x"} }, []string{
			`spec.template.metadata.labels[job-name]: Invalid value: {"batch.kubernetes.io/controller-uid":"u1","batch.kubernetes.io/job-name":"pi","controller-uid":"u1","job-name":"x"}: must be 'pi'`,
		}},
		{"selector of another", func(j *batchv1.Job) {
			j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}, []string{
			"spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"u1\"}}: `selector` not auto-generated",
			"spec.template.metadata.labels: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"u1\",\"batch.kubernetes.io/job-name\":\"pi\",\"controller-uid\":\"u1\",\"job-name\":\"pi\"}: `selector` does not match template `labels`",
		}},
		{"no selector", func(j *batchv1.Job) { j.Spec.ManualSelector = to(true) }, []string{
			"spec.selector: Required value", "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, checktest.Texts(Job.Validate(simpleJob(tt.in)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// manual gives a job a selector of its own.
func manual(j *batchv1.Job) {
	j.Spec.ManualSelector, j.Spec.Template.Labels = to(true), map[string]string{"a": "b"}
	j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
}

func TestJobPolicyErrors(t *testing.T) {
	failure := func(rules ...batchv1.PodFailurePolicyRule) func(*batchv1.Job) {
		return func(j *batchv1.Job) { j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: rules} }
	}
	success := func(rules ...batchv1.SuccessPolicyRule) func(*batchv1.Job) {
		return func(j *batchv1.Job) { indexed(5)(j); j.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: rules} }
	}
	codes := func(op batchv1.PodFailurePolicyOnExitCodesOperator, values ...int32) *batchv1.PodFailurePolicyOnExitCodesRequirement {
		return &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: op, Values: values}
	}
	const rule, srule = "spec.podFailurePolicy.rules[0]", "spec.successPolicy.rules[0]"
	for _, tt := range []struct {
		name string
		in   func(*batchv1.Job)
		want []string
	}{
		{"valid", failure(batchv1.PodFailurePolicyRule{Action: "Ignore", OnExitCodes: codes("In", 1, 2)}), nil},
		{"nothing", failure(batchv1.PodFailurePolicyRule{}), []string{
			rule + `.action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`,
			rule + ": Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
		}},
		{"action", failure(batchv1.PodFailurePolicyRule{Action: "x", OnExitCodes: codes("x", 1)}), []string{
			rule + `.action: Unsupported value: "x": supported values: "Count", "FailIndex", "FailJob", "Ignore"`,
			rule + `.onExitCodes.operator: Unsupported value: "x": supported values: "In", "NotIn"`,
		}},
		{"index", failure(batchv1.PodFailurePolicyRule{Action: "FailIndex", OnExitCodes: codes("", 1)}), []string{
			rule + `.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set`,
			rule + `.onExitCodes.operator: Required value: valid values: ["In" "NotIn"]`,
		}},
		{"codes", failure(batchv1.PodFailurePolicyRule{Action: "Count", OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: "In", ContainerName: to("x"), Values: []int32{3, 0, 3}}}), []string{
			rule + `.onExitCodes.containerName: Invalid value: "x": must be one of the container or initContainer names in the pod template`,
			rule + ".onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
			rule + ".onExitCodes.values[2]: Duplicate value: 3",
			rule + ".onExitCodes.values: Invalid value: [3,0,3]: must be ordered",
		}},
		{"conditions", failure(batchv1.PodFailurePolicyRule{Action: "Count", OnExitCodes: codes("NotIn"), OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: "Ready"}, {Type: "Ready", Status: "x"}}}), []string{
			rule + ".onExitCodes.values: Invalid value: null: at least one value is required",
			rule + `.onPodConditions[1].status: Unsupported value: "x": supported values: "False", "True", "Unknown"`,
			rule + ": Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
		}},
		{"too many", failure(make([]batchv1.PodFailurePolicyRule, 21)...), nil},
		{"on failure", func(j *batchv1.Job) {
			failure(batchv1.PodFailurePolicyRule{Action: "Ignore", OnExitCodes: codes("In", 1)})(j)
			j.Spec.Template.Spec.RestartPolicy, j.Spec.PodReplacementPolicy = "OnFailure", to(batchv1.TerminatingOrFailed)
		}, []string{
			`spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"`,
			`spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified`,
		}},
		{"success", success(batchv1.SuccessPolicyRule{SucceededIndexes: to("0,2-4"), SucceededCount: to(int32(2))}), nil},
		{"no rules", success(), []string{"spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified"}},
		{"empty rule", success(batchv1.SuccessPolicyRule{}), []string{srule + ": Required value: at least one of succeededCount or succeededIndexes must be specified"}},
		{"count", success(batchv1.SuccessPolicyRule{SucceededIndexes: to("1,3"), SucceededCount: to(int32(6))}), []string{
			srule + ".succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified completions)",
			srule + ".succeededCount: Invalid value: 6: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
		}},
		{"indexes", success(batchv1.SuccessPolicyRule{SucceededIndexes: to("3,1")}),
			[]string{srule + `.succeededIndexes: Invalid value: "3,1": error parsing succeededIndexes: non-increasing order, previous: 3, current: 1`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := checktest.Texts(Job.Validate(simpleJob(tt.in)))
			if tt.name == "too many" {
				tt.want, got = []string{"spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"}, got[:1]
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJobUpdates(t *testing.T) {
	suspended := func(j *batchv1.Job) { j.Spec.Suspend = to(true) }
	started := func(j *batchv1.Job) { j.Status.StartTime = &metav1.Time{Time: time.Unix(1, 0)} }
	schedule := func(j *batchv1.Job) {
		s := &j.Spec.Template.Spec
		s.NodeSelector, s.Tolerations, s.SchedulingGates = map[string]string{"a": "b"}, []corev1.Toleration{{Key: "k", Operator: "Exists"}}, []corev1.PodSchedulingGate{{Name: "g"}}
		s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "k", Operator: "Exists"}}}}}}}
		s.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1")}
		j.Spec.Template.Annotations = map[string]string{"x": "y"}
	}
	image := func(j *batchv1.Job) { j.Spec.Template.Spec.Containers[0].Image = "x" }
	all := func(changes ...func(*batchv1.Job)) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			for _, f := range changes {
				f(j)
			}
		}
	}
	const template = "spec.template"
	for _, tt := range []struct {
		name     string
		both, in func(*batchv1.Job)
		want     []string // the fields that are immutable
	}{
		{"nothing", nil, nil, nil},
		{"what may change", nil, func(j *batchv1.Job) {
			j.Spec.Parallelism, j.Spec.ActiveDeadlineSeconds, j.Spec.BackoffLimit, j.Spec.TTLSecondsAfterFinished = to(int32(2)), to(int64(5)), to(int32(9)), to(int32(5))
			suspended(j)
		}, nil},
		{"completions", nil, func(j *batchv1.Job) { j.Spec.Completions = to(int32(2)) }, []string{"spec.completions"}},
		{"what may not", nil, func(j *batchv1.Job) {
			j.Spec.ManagedBy, j.Spec.BackoffLimitPerIndex, j.Spec.CompletionMode, j.Spec.Completions = to("a.b/c"), to(int32(1)), to(batchv1.IndexedCompletion), to(int32(1))
			j.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededCount: to(int32(1))}}}
		}, []string{"spec.completionMode", "spec.backoffLimitPerIndex", "spec.managedBy", "spec.successPolicy"}},
		{"template", nil, image, []string{template}},
		{"schedule while it runs", nil, schedule, []string{template}},
		{"schedule of a suspended one", suspended, schedule, nil},
		{"schedule is taken away", all(suspended, schedule), func(j *batchv1.Job) { j.Spec.Template.Spec.Affinity, j.Spec.Template.Spec.NodeSelector = nil, nil }, nil},
		{"image of a suspended one", suspended, image, []string{template + ".spec"}},
		{"schedule of one that had pods", all(suspended, started), schedule, []string{template}},
		{"schedule of one that is suspended again", all(suspended, started, condition("Suspended", "True")), schedule, nil},
		{"schedule of one whose pods are ending", all(suspended, started, condition("Suspended", "True"), func(j *batchv1.Job) { j.Status.Active = 1 }), schedule, []string{template}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := simpleJob(nil)
			if tt.both != nil {
				tt.both(old)
			}
			j := old.DeepCopy()
			if tt.in != nil {
				tt.in(j)
			}
			Job.Default(j)
			var got []string
			for _, e := range Job.ValidateUpdate(j, old) {
				if e.Detail != "field is immutable" {
					t.Errorf("%v", e)
				}
				got = append(got, e.Field)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestIndexedJobIsScaled(t *testing.T) {
	for parallelism, want := range map[int32][]string{7: nil, 3: {"spec.completions: Invalid value: 7: can only be modified in tandem with spec.parallelism"}} {
		old := simpleJob(indexed(5))
		j := old.DeepCopy()
		j.Spec.Completions, j.Spec.Parallelism = to(int32(7)), &parallelism
		if diff := cmp.Diff(want, checktest.Texts(Job.ValidateUpdate(j, old))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	j := simpleJob(nil)
	j.Spec.Parallelism = to(int32(-1))
	const text = "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"
	if diff := cmp.Diff([]string{text, text}, checktest.Texts(Job.ValidateUpdate(j, simpleJob(nil)))); diff != "" {
		t.Errorf("errors of the spec (-want +got):\n%s", diff)
	}
}
