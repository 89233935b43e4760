package flowcontrol

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
	"gantry/schema/internal/checktest"
)

func ptr[T any](v T) *T { return &v }

func TestFlowSchemaErrors(t *testing.T) {
	type flow = *flowcontrolv1.FlowSchema
	base := func() flow {
		return &flowcontrolv1.FlowSchema{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "l"}, Rules: everythingOf("g"),
		}}
	}
	resources := func(change func(r *flowcontrolv1.ResourcePolicyRule)) func(flow) {
		return func(s flow) { change(&s.Spec.Rules[0].ResourceRules[0]) }
	}
	checktest.Create(t, FlowSchema, base, []checktest.Case[flow]{
		{Name: "good"},
		{Name: "spec", In: func(s flow) {
			s.Spec = flowcontrolv1.FlowSchemaSpec{MatchingPrecedence: 10001, DistinguisherMethod: &flowcontrolv1.FlowDistinguisherMethod{Type: "x"}, Rules: make([]flowcontrolv1.PolicyRulesWithSubjects, 1)}
		}, Want: []string{
			"spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000",
			`spec.distinguisherMethod.type: Unsupported value: {"Type":"x"}: supported values: "ByNamespace", "ByUser"`,
			"spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
			"spec.rules[0].subjects: Required value: subjects must contain at least one value",
			"spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
		}},
		{Name: "precedence of exempt", In: func(s flow) { s.Spec.MatchingPrecedence = 1 },
			Want: []string{"spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"}},
		{Name: "negative precedence", In: func(s flow) { s.Spec.MatchingPrecedence = -1 }, Want: []string{"spec.matchingPrecedence: Invalid value: -1: must be a positive value"}},
		{Name: "subjects", In: func(s flow) {
			s.Spec.Rules[0].Subjects = []flowcontrolv1.Subject{
				{Kind: "x"}, {Kind: "User", Group: &flowcontrolv1.GroupSubject{}}, {Kind: "Group", Group: &flowcontrolv1.GroupSubject{}},
				{Kind: "ServiceAccount", ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Name: "*"}, User: &flowcontrolv1.UserSubject{}},
			}
		}, Want: []string{
			`spec.rules[0].subjects[0].kind: Unsupported value: "x": supported values: "Group", "ServiceAccount", "User"`,
			"spec.rules[0].subjects[1].user: Required value: user is required when subject kind is 'User'",
			"spec.rules[0].subjects[1].group: Forbidden: group is forbidden when subject kind is not 'Group'",
			"spec.rules[0].subjects[2].group.name: Required value",
			"spec.rules[0].subjects[3].serviceAccount.namespace: Required value: must specify namespace for service account",
			"spec.rules[0].subjects[3].user: Forbidden: user is forbidden when subject kind is not 'User'",
		}},
		{Name: "empty rule", In: resources(func(r *flowcontrolv1.ResourcePolicyRule) { *r = flowcontrolv1.ResourcePolicyRule{} }), Want: []string{
			"spec.rules[0].resourceRules[0].verbs: Required value: verbs must contain at least one value",
			"spec.rules[0].resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group",
			"spec.rules[0].resourceRules[0].resources: Required value: resource rules must supply at least one resource",
			"spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace",
		}},
		{Name: "wildcards", In: resources(func(r *flowcontrolv1.ResourcePolicyRule) {
			both := []string{"*", "x"}
			r.Verbs, r.APIGroups, r.Resources, r.Namespaces = both, both, both, both
		}), Want: []string{
			`spec.rules[0].resourceRules[0].verbs: Invalid value: ["*","x"]: if '*' is present, must not specify other verbs`,
			`spec.rules[0].resourceRules[0].apiGroups: Invalid value: ["*","x"]: if '*' is present, must not specify other api groups`,
			`spec.rules[0].resourceRules[0].resources: Invalid value: ["*","x"]: if '*' is present, must not specify other resources`,
			`spec.rules[0].resourceRules[0].namespaces: Invalid value: ["*","x"]: if '*' is present, must not specify other namespaces`,
		}},
		{Name: "verbs and namespaces", In: resources(func(r *flowcontrolv1.ResourcePolicyRule) { r.Verbs, r.Namespaces = []string{"get", "x"}, []string{"A"} }), Want: []string{
			`spec.rules[0].resourceRules[0].verbs: Unsupported value: ["get","x"]: supported values: "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"`,
			`spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: "A": each member of this list must be '*' or a DNS-1123 label; a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
		}},
		{Name: "URLs", In: func(s flow) {
			s.Spec.Rules[0].NonResourceRules[0].NonResourceURLs = []string{"/", "/a/*", "", "a", "/ ", "//", "/*a"}
		}, Want: []string{
			`spec.rules[0].nonResourceRules[0].nonResourceURLs[2]: Invalid value: "": must not be empty`,
			`spec.rules[0].nonResourceRules[0].nonResourceURLs[3]: Invalid value: "a": must start with slash`,
			`spec.rules[0].nonResourceRules[0].nonResourceURLs[4]: Invalid value: "/ ": must not contain white-space`,
			`spec.rules[0].nonResourceRules[0].nonResourceURLs[5]: Invalid value: "//": must not contain double slash`,
			`spec.rules[0].nonResourceRules[0].nonResourceURLs[6]: Invalid value: "/*a": wildcard can only do suffix matching`,
		}},
		{Name: "status", In: func(s flow) {
			s.Status.Conditions = []flowcontrolv1.FlowSchemaCondition{{Type: "a"}, {Type: "a"}, {}}
		}, Want: []string{`status.conditions[1].type: Duplicate value: "a"`, "status.conditions[2].type: Required value"}},
	})
	for _, fixed := range MandatoryFlowSchemas() {
		want := fixed.DeepCopy()
		FlowSchema.Default(fixed)
		if diff := cmp.Diff(want, fixed); diff != "" {
			t.Errorf("%s is not defaulted: %s", fixed.Name, diff)
		}
		if got := checktest.Texts(FlowSchema.Validate(fixed)); got != nil {
			t.Errorf("%s: %q", fixed.Name, got)
		}
		fixed.Spec.Rules[0].Subjects = fixed.Spec.Rules[0].Subjects[:1]
		fixed.Spec.Rules[0].Subjects[0].Group.Name = "x"
		if got := checktest.Texts(FlowSchema.Validate(fixed)); len(got) != 1 {
			t.Errorf("%s was changed: %q", fixed.Name, got)
		}
	}
}

func TestPriorityLevelErrors(t *testing.T) {
	base := func() *level {
		return &level{ObjectMeta: metav1.ObjectMeta{Name: "l"}, Spec: flowcontrolv1.PriorityLevelConfigurationSpec{
			Type:    "Limited",
			Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{LimitResponse: flowcontrolv1.LimitResponse{Type: "Queue", Queuing: &flowcontrolv1.QueuingConfiguration{}}},
		}}
	}
	queuing := func(queues, hand int32) func(*level) {
		return func(l *level) {
			*l.Spec.Limited.LimitResponse.Queuing = flowcontrolv1.QueuingConfiguration{Queues: queues, HandSize: hand, QueueLengthLimit: 1}
		}
	}
	const p = "spec.limited.limitResponse.queuing."
	checktest.Create(t, PriorityLevelConfiguration, base, []checktest.Case[*level]{
		{Name: "good"},
		{Name: "type", In: func(l *level) { l.Spec.Type = "" }, Want: []string{"spec.type: Required value"}},
		{Name: "exempt", In: func(l *level) { l.Spec.Type = "Exempt" }, Want: []string{
			"spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'", "spec.limited: Forbidden: must be nil if the type is not Limited",
		}},
		{Name: "not limited", In: func(l *level) {
			l.Spec.Limited, l.Spec.Exempt = nil, &flowcontrolv1.ExemptPriorityLevelConfiguration{}
			l.Annotations = map[string]string{roundTripAnnotation: ""}
		}, Want: []string{
			"metadata.annotations: Forbidden: annotation 'flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares' is forbidden",
			"spec.exempt: Forbidden: must be nil if the type is Limited", "spec.limited: Required value: must not be empty when type is Limited",
		}},
		{Name: "numbers", In: func(l *level) {
			*l.Spec.Limited = flowcontrolv1.LimitedPriorityLevelConfiguration{NominalConcurrencyShares: ptr(int32(-1)), LendablePercent: ptr(int32(101)), BorrowingLimitPercent: ptr(int32(-1))}
		}, Want: []string{
			"spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
			"spec.limited.limitResponse.type: Required value",
			"spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
			"spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
		}},
		{Name: "reject", In: func(l *level) { l.Spec.Limited.LimitResponse.Type = "Reject" },
			Want: []string{"spec.limited.limitResponse.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited"}},
		{Name: "no queues", In: func(l *level) { l.Spec.Limited.LimitResponse.Queuing = nil },
			Want: []string{"spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited"}},
		{Name: "negative", In: func(l *level) {
			*l.Spec.Limited.LimitResponse.Queuing = flowcontrolv1.QueuingConfiguration{Queues: -1, HandSize: -1, QueueLengthLimit: -1}
		}, Want: []string{p + "queueLengthLimit: Invalid value: -1: must be positive", p + "queues: Invalid value: -1: must be positive", p + "handSize: Invalid value: -1: must be positive"}},
		{Name: "many queues", In: queuing(10_000_001, 1), Want: []string{p + "queues: Invalid value: 10000001: must not be greater than 10000000"}},
		{Name: "large hand", In: queuing(1, 2), Want: []string{p + "handSize: Invalid value: 2: should not be greater than queues (1)"}},
		{Name: "entropy", In: queuing(64, 11), Want: []string{p + "handSize: Invalid value: 11: required entropy bits of deckSize 64 and handSize 11 should not be greater than 60"}},
	})
	for _, fixed := range MandatoryPriorityLevels() {
		want := fixed.DeepCopy()
		PriorityLevelConfiguration.Default(fixed)
		if diff := cmp.Diff(want, fixed); diff != "" {
			t.Errorf("%s is not defaulted: %s", fixed.Name, diff)
		}
		if fixed.Spec.Exempt != nil {
			fixed.Spec.Exempt.NominalConcurrencyShares = ptr(int32(7))
		}
		if got := checktest.Texts(PriorityLevelConfiguration.Validate(fixed)); got != nil {
			t.Errorf("%s: %q", fixed.Name, got)
		}
		if fixed.Spec.Limited != nil {
			fixed.Spec.Limited.NominalConcurrencyShares = ptr(int32(7))
			if got := checktest.Texts(PriorityLevelConfiguration.Validate(fixed)); len(got) != 1 {
				t.Errorf("%s was changed: %q", fixed.Name, got)
			}
		}
	}
}

func TestRowsAndParts(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	meta := metav1.ObjectMeta{Name: "x", CreationTimestamp: now}
	s := MandatoryFlowSchemas()[1]
	s.ObjectMeta = meta
	s.Status.Conditions = []flowcontrolv1.FlowSchemaCondition{{Type: "Dangling", Status: "False"}}
	limited := &level{ObjectMeta: meta, Spec: flowcontrolv1.PriorityLevelConfigurationSpec{Type: "Limited", Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{
		LimitResponse: flowcontrolv1.LimitResponse{Queuing: &flowcontrolv1.QueuingConfiguration{}}}}}
	PriorityLevelConfiguration.Default(limited)
	for _, tt := range []struct {
		kind *schema.Kind
		in   schema.Object
		want []any
	}{
		{FlowSchema, &flowcontrolv1.FlowSchema{ObjectMeta: meta}, []any{"x", "", int64(0), "<none>", "0s", "?"}},
		{FlowSchema, s, []any{"x", "catch-all", int64(10000), "ByUser", "0s", "False"}},
		{PriorityLevelConfiguration, &level{ObjectMeta: meta}, []any{"x", "", "<none>", "<none>", "<none>", "<none>", "0s"}},
		{PriorityLevelConfiguration, limited, []any{"x", "Limited", int64(30), int64(64), int64(8), int64(50), "0s"}},
	} {
		if diff := cmp.Diff(tt.want, tt.kind.Row(tt.in, now)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	old := s.DeepCopy()
	FlowSchema.PrepareCreate(old)
	update := old.DeepCopy()
	update.Labels, update.Spec.MatchingPrecedence, update.Status = map[string]string{"a": "b"}, 7, s.Status
	status := update.DeepCopy()
	FlowSchema.PrepareUpdate(update, old)
	FlowSchema.Subresource("status").Prepare(status, old)
	if old.Generation != 1 || old.Status.Conditions != nil || update.Generation != 2 || update.Status.Conditions != nil || update.Labels == nil {
		t.Errorf("created %+v\nupdated %+v", old, update)
	}
	if status.Generation != 1 || len(status.Status.Conditions) != 1 || status.Labels != nil || status.Spec.MatchingPrecedence != 10000 {
		t.Errorf("status %+v", status)
	}
}

// everythingOf is the rule of all requests of users in a group.
func everythingOf(group string) []flowcontrolv1.PolicyRulesWithSubjects {
	rules := MandatoryFlowSchemas()[0].Spec.Rules
	rules[0].Subjects[0].Group.Name = group
	return rules
}
