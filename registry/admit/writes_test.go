package admit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry"
	"gantry/registry/admit"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
)

// journal is a rule that writes down what it is asked.
type journal struct{ lines []string }

func (j *journal) rule() admit.Rule {
	note := func(phase string) admit.Func {
		return func(_ context.Context, _ admit.Reader, q *admit.Request) error {
			line := fmt.Sprintf("%s %s %s %s/%s by %s", phase, q.Operation, strings.TrimSuffix(q.Kind.Plural+"/"+q.Subresource, "/"), q.Namespace, q.Name, q.User.Username)
			for _, o := range []any{q.Object, q.Old, q.Connection} {
				if o != nil {
					line += fmt.Sprintf(" %T", o)
				}
			}
			if q.DryRun {
				line += " dry run"
			}
			if q.Removes {
				line += " removes"
			}
			j.lines = append(j.lines, line)
			return nil
		}
	}
	return admit.Rule{Name: "Journal", Doc: "writes down what it is asked", Mutate: note("mutate"), Validate: note("validate")}
}

// registryWith is a registry with one more rule, on an empty store.
func registryWith(t *testing.T, rules ...admit.Rule) *registry.Registry {
	t.Helper()
	etcd := store.NewFake()
	registrytest.Namespace(t, registrytest.On(t, etcd), "default")
	return registrytest.WithAdmission(t, etcd, append(admit.BuiltIn(), rules...))
}

func TestEveryWriteIsAdmitted(t *testing.T) {
	var j journal
	r := registryWith(t, j.rule())
	ctx := registry.WithUser(registrytest.Context(t), &authenticationv1.UserInfo{Username: "alice"})
	web := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.ReplicaSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: registrytest.Pod("p").Spec},
	}}
	touch := func(o schema.Object) (schema.Object, error) {
		o.SetLabels(map[string]string{"changed": o.GetResourceVersion()})
		return o, nil
	}
	for _, c := range []struct {
		name string
		do   func() error
		want []string // what both phases are asked, without the phase
	}{
		{"create", func() error {
			_, err := r.Create(ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{})
			return err
		},
			[]string{"CREATE pods default/p by alice *v1.Pod"}},
		{"dry run", func() error {
			_, err := r.Create(ctx, core.Pod, registrytest.Pod("q"), registry.WriteOptions{DryRun: true})
			return err
		}, []string{"CREATE pods default/q by alice *v1.Pod dry run"}},
		{"the process itself", func() error {
			_, err := r.Create(registrytest.Context(t), core.ConfigMap, registrytest.ConfigMap("c"), registry.WriteOptions{})
			return err
		}, []string{"CREATE configmaps default/c by test *v1.ConfigMap"}},
		{"update", func() error {
			_, err := r.Modify(ctx, core.Pod, "default", "p", touch, registry.WriteOptions{})
			return err
		},
			[]string{"UPDATE pods default/p by alice *v1.Pod *v1.Pod"}},
		{"status", func() error {
			_, err := r.Modify(ctx, core.Pod, "default", "p", func(o schema.Object) (schema.Object, error) {
				o.(*corev1.Pod).Status.Message = "m"
				return o, nil
			}, registry.WriteOptions{Subresource: "status"})
			return err
		}, []string{"UPDATE pods/status default/p by alice *v1.Pod *v1.Pod"}},
		{"resize", func() error {
			_, err := r.Modify(ctx, core.Pod, "default", "p", func(o schema.Object) (schema.Object, error) { return o, nil }, registry.WriteOptions{Subresource: "resize"})
			return err
		}, []string{"UPDATE pods/resize default/p by alice *v1.Pod *v1.Pod"}},
		{"binding", func() error {
			_, err := r.Bind(ctx, "default", "p", &corev1.Binding{Target: corev1.ObjectReference{Name: "n1"}}, registry.WriteOptions{})
			return err
		}, []string{"CREATE pods/binding default/p by alice *v1.Binding"}},
		{"finalize", func() error {
			_, err := r.Modify(ctx, core.Namespace, "", "default", func(o schema.Object) (schema.Object, error) { return o, nil }, registry.WriteOptions{Subresource: "finalize"})
			return err
		}, []string{"UPDATE namespaces/finalize /default by alice *v1.Namespace *v1.Namespace"}},
		{"create for scale", func() error { _, err := r.Create(ctx, apps.ReplicaSet, web, registry.WriteOptions{}); return err },
			[]string{"CREATE replicasets default/web by alice *v1.ReplicaSet"}},
		{"scale", func() error {
			_, err := r.Modify(ctx, apps.ReplicaSet, "default", "web", func(o schema.Object) (schema.Object, error) {
				three := int32(3)
				o.(*appsv1.ReplicaSet).Spec.Replicas = &three
				return o, nil
			}, registry.WriteOptions{Subresource: "scale"})
			return err
		}, []string{"UPDATE replicasets/scale default/web by alice *v1.Scale *v1.Scale"}},
		{"connect", func() error {
			return r.Admit(ctx, admit.Connect, core.Pod, "default", "p", &corev1.PodExecOptions{}, nil, registry.WriteOptions{Subresource: "exec"})
		}, []string{"CONNECT pods/exec default/p by alice *v1.PodExecOptions"}},
		{"eviction", func() error {
			return r.Admit(ctx, admit.Create, core.Pod, "default", "p", &policyv1.Eviction{}, nil, registry.WriteOptions{Subresource: "eviction"})
		}, []string{"CREATE pods/eviction default/p by alice *v1.Eviction"}},
		{"delete", func() error {
			_, _, err := r.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{GracePeriodSeconds: new(int64)})
			return err
		}, []string{"DELETE pods default/p by alice *v1.Pod removes"}},
		{"deletecollection", func() error {
			_, err := r.DeleteCollection(ctx, core.ConfigMap, "default", registry.DeleteOptions{}, registry.ListOptions{})
			return err
		}, []string{"DELETE configmaps default/c by alice *v1.ConfigMap removes"}},
	} {
		j.lines = nil
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var want []string
		for _, line := range c.want {
			want = append(want, "mutate "+strings.TrimSuffix(line, " removes"), "validate "+line)
		}
		if d := cmp.Diff(want, j.lines); d != "" {
			t.Errorf("%s: -want +got\n%s", c.name, d)
		}
	}
}

// TestPhases checks that what Mutate sets is prepared and validated, and that Validate sees the result.
func TestPhases(t *testing.T) {
	var seen []string
	note := func(phase string, o schema.Object) {
		cm := o.(*corev1.ConfigMap)
		seen = append(seen, fmt.Sprintf("%s uid:%t labels:%v", phase, cm.UID != "", cm.Labels))
	}
	label := "good"
	rule := admit.Rule{
		Name: "Label", Wants: func(_ admit.Operation, k *schema.Kind, _ string) bool { return k == core.ConfigMap },
		Mutate: func(_ context.Context, _ admit.Reader, q *admit.Request) error {
			note("mutate", q.Object)
			q.Object.SetLabels(map[string]string{"l": label})
			return nil
		},
		Validate: func(_ context.Context, _ admit.Reader, q *admit.Request) error {
			note("validate", q.Object)
			return nil
		},
	}
	r := registryWith(t, rule)
	it := registrytest.Must(t)(r.Create(registrytest.Context(t), core.ConfigMap, registrytest.ConfigMap("a"), registry.WriteOptions{}))
	if got := it.Object().GetLabels()["l"]; got != "good" {
		t.Errorf("label %q is stored", got)
	}
	if d := cmp.Diff([]string{"mutate uid:false labels:map[]", "validate uid:true labels:map[l:good]"}, seen); d != "" {
		t.Errorf("create: -want +got\n%s", d)
	}
	label, seen = "not a label", nil
	_, err := r.Create(registrytest.Context(t), core.ConfigMap, registrytest.ConfigMap("b"), registry.WriteOptions{})
	if !errors.Is(err, registry.Invalid) || len(seen) != 1 {
		t.Errorf("a mutation that is invalid: %v, %v", err, seen)
	}
	seen = nil
	_, err = r.Modify(registrytest.Context(t), core.ConfigMap, "default", "a", func(o schema.Object) (schema.Object, error) { return o, nil }, registry.WriteOptions{})
	if !errors.Is(err, registry.Invalid) || !slices.ContainsFunc(seen, func(s string) bool { return strings.HasPrefix(s, "mutate uid:true") }) {
		t.Errorf("an update with a mutation that is invalid: %v, %v", err, seen)
	}
}

// TestScaleIsMutated checks that the object gets the replicas of the Scale as the rules have changed it.
func TestScaleIsMutated(t *testing.T) {
	r := registryWith(t, admit.Rule{Name: "AtMostTwo", Mutate: func(_ context.Context, _ admit.Reader, q *admit.Request) error {
		if s, ok := q.Object.(*autoscalingv1.Scale); ok {
			s.Spec.Replicas = min(2, s.Spec.Replicas)
		}
		return nil
	}})
	web := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.ReplicaSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: registrytest.Pod("p").Spec},
	}}
	registrytest.Must(t)(r.Create(registrytest.Context(t), apps.ReplicaSet, web, registry.WriteOptions{}))
	it := registrytest.Must(t)(r.Modify(registrytest.Context(t), apps.ReplicaSet, "default", "web", func(o schema.Object) (schema.Object, error) {
		nine := int32(9)
		o.(*appsv1.ReplicaSet).Spec.Replicas = &nine
		return o, nil
	}, registry.WriteOptions{Subresource: "scale"}))
	if rs := it.Object().(*appsv1.ReplicaSet); *rs.Spec.Replicas != 2 || rs.Generation != 2 {
		t.Errorf("%d replicas at generation %d", *rs.Spec.Replicas, rs.Generation)
	}
}

func TestErrorsOfRules(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		kind registry.ErrorKind
		text string
	}{
		{"denied", &admit.Denied{Reason: "not today"}, registry.Forbidden, "not today"},
		{"missing", &admit.Missing{Resource: "things", Kind: "Thing", Name: "x"}, registry.NotFound, `things "x"`},
		{"invalid", &admit.Invalid{Errs: field.ErrorList{field.Required(field.NewPath("data", "k"), "")}}, registry.Invalid, "data.k: Required value"},
		{"undecided", errors.New("the policy is away"), registry.Unavailable, "the policy is away"},
	} {
		r := registryWith(t, admit.Rule{Name: "Refuse", Validate: func(context.Context, admit.Reader, *admit.Request) error { return c.err }})
		_, err := r.Create(registrytest.Context(t), core.ConfigMap, registrytest.ConfigMap("a"), registry.WriteOptions{})
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := r.Admit(registrytest.Context(t), admit.Connect, core.Pod, "default", "p", &corev1.PodExecOptions{}, nil, registry.WriteOptions{Subresource: "exec"}); !errors.Is(err, c.kind) {
			t.Errorf("%s, connecting: %v", c.name, err)
		}
	}
}

func TestWarningsOfRules(t *testing.T) {
	rule := admit.Rule{Name: "Warn", Validate: func(_ context.Context, _ admit.Reader, q *admit.Request) error {
		q.Warn("beware")
		q.Warn("beware")
		q.Annotate("warn.example.com/said", "yes")
		return nil
	}}
	r := registryWith(t, rule)
	var texts []string
	warn := func(t []string) { texts = t }
	registrytest.Must(t)(r.Create(registrytest.Context(t), core.ConfigMap, registrytest.ConfigMap("a"), registry.WriteOptions{Warn: warn}))
	if d := cmp.Diff([]string{"beware"}, texts); d != "" {
		t.Errorf("create: -want +got\n%s", d)
	}
	texts = nil
	if _, _, err := r.Delete(registrytest.Context(t), core.ConfigMap, "default", "a", registry.DeleteOptions{Warn: warn}); err != nil || len(texts) != 1 {
		t.Errorf("delete: %v, warnings %v", err, texts)
	}
}

// TestKeysThatNobodyStores checks that a rule can change no keys in a request without a transaction, and no keys of another rule.
func TestKeysThatNobodyStores(t *testing.T) {
	count := func(owner string) admit.Rule {
		return admit.Rule{Name: "Count", Validate: func(ctx context.Context, read admit.Reader, q *admit.Request) error {
			key, err := admit.NewKey(owner, "k")
			if err != nil {
				return err
			}
			kv, err := read.Get(ctx, key)
			if err != nil {
				return err
			}
			return q.Put(kv, []byte("1"))
		}}
	}
	r := registryWith(t, count("Count"))
	err := r.Admit(registrytest.Context(t), admit.Connect, core.Pod, "default", "p", &corev1.PodExecOptions{}, nil, registry.WriteOptions{Subresource: "exec"})
	if !errors.Is(err, registry.Unavailable) || !strings.Contains(err.Error(), "a CONNECT of pods/exec cannot store") {
		t.Errorf("connecting: %v", err)
	}
	r = registryWith(t, count("Other"))
	if _, err := r.Create(registrytest.Context(t), core.ConfigMap, registrytest.ConfigMap("a"), registry.WriteOptions{}); !errors.Is(err, registry.Unavailable) || !strings.Contains(err.Error(), "not the rule's own") {
		t.Errorf("a key of another rule: %v", err)
	}
}
