package autoscaling

import (
	"encoding/json"
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/randfill"
	"sigs.k8s.io/yaml"

	"gantry/schema"
	"gantry/schema/internal/checktest"
	"gantry/schema/kinds/kindstest"
)

func to[T any](v T) *T { return &v }

func quantity(text string) *resource.Quantity { return to(resource.MustParse(text)) }

func parse[T any](t *testing.T, text string) *T {
	t.Helper()
	obj := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func simpleAutoscaler(spec ...autoscalingv2.MetricSpec) *autoscalingv2.HorizontalPodAutoscaler {
	a := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}}
	a.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "web", APIVersion: "apps/v1"}
	a.Spec.MaxReplicas, a.Spec.Metrics = 5, spec
	HorizontalPodAutoscaler.Default(a)
	return a
}

func TestDefaults(t *testing.T) {
	a := simpleAutoscaler()
	if m := a.Spec.Metrics; *a.Spec.MinReplicas != 1 || len(m) != 1 || m[0].Resource.Name != "cpu" || *m[0].Resource.Target.AverageUtilization != 80 || a.Spec.Behavior != nil {
		t.Errorf("got %+v", a.Spec)
	}
	a.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleDown: &autoscalingv2.HPAScalingRules{SelectPolicy: to(autoscalingv2.DisabledPolicySelect)}}
	a.Annotations = map[string]string{metricsKey: "x", "a": "b"}
	HorizontalPodAutoscaler.Default(a)
	const want = `{"scaleUp":{"stabilizationWindowSeconds":0,"selectPolicy":"Max","policies":[{"type":"Pods","value":4,"periodSeconds":15},{"type":"Percent","value":100,"periodSeconds":15}]},` +
		`"scaleDown":{"selectPolicy":"Disabled","policies":[{"type":"Percent","value":100,"periodSeconds":15}]}}`
	if got, _ := json.Marshal(a.Spec.Behavior); string(got) != want {
		t.Errorf("behavior %s", got)
	}
	if diff := cmp.Diff(map[string]string{"a": "b"}, a.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	target := func(change func(*autoscalingv2.MetricTarget)) autoscalingv2.MetricTarget {
		mt := autoscalingv2.MetricTarget{Type: "AverageValue", AverageValue: quantity("5")}
		change(&mt)
		return mt
	}
	good := target(func(*autoscalingv2.MetricTarget) {})
	named := autoscalingv2.MetricIdentifier{Name: "hits"}
	metrics := func(m ...autoscalingv2.MetricSpec) func(*autoscalingv2.HorizontalPodAutoscaler) {
		return func(a *autoscalingv2.HorizontalPodAutoscaler) { a.Spec.Metrics = m }
	}
	const m0 = "spec.metrics[0]"
	for _, tt := range []struct {
		name string
		in   func(*autoscalingv2.HorizontalPodAutoscaler)
		want []string
	}{
		{"valid", func(*autoscalingv2.HorizontalPodAutoscaler) {}, nil},
		{"replicas", func(a *autoscalingv2.HorizontalPodAutoscaler) {
			a.Spec.MinReplicas, a.Spec.MaxReplicas = to(int32(0)), -1
		}, []string{
			"spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
			"spec.maxReplicas: Invalid value: -1: must be greater than or equal to 1",
			"spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
			"spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
		}},
		{"no maximum", func(a *autoscalingv2.HorizontalPodAutoscaler) { a.Spec.MaxReplicas = 0 }, []string{
			"spec.maxReplicas: Required value: must be set and greater than 0", "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
		}},
		{"no reference", func(a *autoscalingv2.HorizontalPodAutoscaler) {
			a.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{}
		}, []string{
			"spec.scaleTargetRef.kind: Required value", "spec.scaleTargetRef.name: Required value", `spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group`,
		}},
		{"reference", func(a *autoscalingv2.HorizontalPodAutoscaler) {
			a.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "..", Name: "a/b", APIVersion: "a/b/c"}
		}, []string{
			`spec.scaleTargetRef.kind: Invalid value: "..": may not be '..'`, `spec.scaleTargetRef.name: Invalid value: "a/b": may not contain '/'`,
			`spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c`,
		}},
		{"a replication controller", func(a *autoscalingv2.HorizontalPodAutoscaler) {
			a.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "ReplicationController", Name: "a", APIVersion: "v1"}
		}, nil},
		{"no type", metrics(autoscalingv2.MetricSpec{}), []string{
			m0 + ".type: Required value: must specify a metric source type",
			m0 + `.type: Unsupported value: "": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"`,
			m0 + `.type: Unsupported value: "": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"`,
		}},
		{"another source", metrics(autoscalingv2.MetricSpec{Type: "Pods", External: &autoscalingv2.ExternalMetricSource{Metric: named, Target: good}}), []string{
			m0 + ".pods: Required value: must populate information for the given metric source",
		}},
		{"two sources", metrics(autoscalingv2.MetricSpec{Type: "Pods", Pods: &autoscalingv2.PodsMetricSource{Metric: named, Target: good}, Resource: &autoscalingv2.ResourceMetricSource{}}),
			[]string{m0 + ".resource: Forbidden: must populate the given metric source only"}},
		{"object", metrics(autoscalingv2.MetricSpec{Type: "Object", Object: &autoscalingv2.ObjectMetricSource{
			DescribedObject: autoscalingv2.CrossVersionObjectReference{Kind: "Service", Name: "s"}, Target: target(func(mt *autoscalingv2.MetricTarget) { mt.AverageValue = nil }),
		}}), []string{
			m0 + ".object.metric.name: Required value: must specify a metric name", m0 + ".object.target.averageValue: Required value: must set either a target value or averageValue",
		}},
		{"external", metrics(autoscalingv2.MetricSpec{Type: "External", External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: "a%"}, Target: target(func(mt *autoscalingv2.MetricTarget) { mt.Type, mt.Value = "x", quantity("0") }),
		}}), []string{
			m0 + `.external.metric.name: Invalid value: "a%": may not contain '%'`,
			m0 + `.external.target.type: Invalid value: "x": must be either Utilization, Value, or AverageValue`,
			m0 + `.external.target.value: Invalid value: "0": must be positive`,
			m0 + ".external.target.value: Forbidden: may not set both a target value for metric and a per-pod target",
		}},
		{"pods", metrics(autoscalingv2.MetricSpec{Type: "Pods", Pods: &autoscalingv2.PodsMetricSource{Metric: named}}), []string{
			m0 + ".pods.target.type: Required value: must specify a metric target type",
			m0 + `.pods.target.type: Invalid value: "": must be either Utilization, Value, or AverageValue`,
			m0 + ".pods.target.averageValue: Required value: must specify a positive target averageValue",
		}},
		{"resource", metrics(autoscalingv2.MetricSpec{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Target: target(func(mt *autoscalingv2.MetricTarget) { mt.AverageUtilization = to(int32(0)) })}}), []string{
			m0 + ".resource.name: Required value: must specify a resource name",
			m0 + ".resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
			m0 + ".resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization",
		}},
		{"container resource", metrics(autoscalingv2.MetricSpec{Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: "pods", Target: autoscalingv2.MetricTarget{Type: "Value"}}}), []string{
			m0 + `.containerResource.name: Invalid value: "pods": must be a standard resource for containers`,
			m0 + ".containerResource.container: Required value: must specify a container",
			m0 + ".containerResource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
		}},
		{"behavior", func(a *autoscalingv2.HorizontalPodAutoscaler) {
			a.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleUp: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: to(int32(-1)), SelectPolicy: to(autoscalingv2.ScalingPolicySelect("x"))},
				ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: to(int32(3601)), Tolerance: quantity("-1"),
					Policies: []autoscalingv2.HPAScalingPolicy{{Type: "x", PeriodSeconds: 1801}, {Type: "Pods", Value: 1}}},
			}
		}, []string{
			"spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero",
			`spec.behavior.scaleUp.selectPolicy: Unsupported value: "x": supported values: "Disabled", "Max", "Min"`,
			"spec.behavior.scaleUp.policies: Required value: must specify at least one Policy",
			"spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
			`spec.behavior.scaleDown.policies[0].type: Unsupported value: "x": supported values: "Percent", "Pods"`,
			"spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
			"spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
			"spec.behavior.scaleDown.policies[1].periodSeconds: Invalid value: 0: must be greater than zero",
			`spec.behavior.scaleDown.tolerance: Invalid value: "-1": must be greater than or equal to 0`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := simpleAutoscaler()
			tt.in(a)
			if diff := cmp.Diff(tt.want, checktest.Texts(HorizontalPodAutoscaler.Validate(a))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestUpdates checks that an update may keep values that were stored before they were refused.
func TestUpdates(t *testing.T) {
	external := autoscalingv2.MetricSpec{Type: "External", External: &autoscalingv2.ExternalMetricSource{
		Metric: autoscalingv2.MetricIdentifier{Name: "hits"}, Target: autoscalingv2.MetricTarget{Type: "Value", Value: quantity("5")},
	}}
	old := simpleAutoscaler(external)
	old.Spec.MinReplicas, old.Spec.ScaleTargetRef.APIVersion = to(int32(0)), "v1"
	a := old.DeepCopy()
	if got := checktest.Texts(HorizontalPodAutoscaler.ValidateUpdate(a, old)); got != nil {
		t.Errorf("got %q", got)
	}
	a.Spec.ScaleTargetRef.APIVersion = "v2"
	want := []string{`spec.scaleTargetRef.apiVersion: Invalid value: "v2": apiVersion must specify API group`}
	if diff := cmp.Diff(want, checktest.Texts(HorizontalPodAutoscaler.ValidateUpdate(a, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.Status = autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: -1, DesiredReplicas: 3}
	want = []string{"status.currentReplicas: Invalid value: -1: must be greater than or equal to 0"}
	if diff := cmp.Diff(want, checktest.Texts(HorizontalPodAutoscaler.Subresource("status").Validate(a, old))); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if HorizontalPodAutoscaler.PrepareUpdate(a, old); a.Status.DesiredReplicas != 0 || a.Generation != 0 {
		t.Errorf("prepared %+v", a)
	}
}

const inV2 = `
metadata: {name: web, annotations: {a: b}}
spec:
  scaleTargetRef: {kind: Deployment, name: web, apiVersion: apps/v1}
  minReplicas: 2
  maxReplicas: 5
  metrics:
  - {type: Pods, pods: {metric: {name: hits, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: "5"}}}
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
  behavior:
    scaleUp: {stabilizationWindowSeconds: 0, selectPolicy: Max, tolerance: 10m, policies: [{type: Pods, value: 4, periodSeconds: 15}]}
status:
  desiredReplicas: 3
  conditions: [{type: AbleToScale, status: "True", reason: Ready, lastTransitionTime: "2026-03-01T12:00:00Z"}]
  currentMetrics:
  - {type: Pods, pods: {metric: {name: hits}, current: {averageValue: "3"}}}
  - {type: Resource, resource: {name: cpu, current: {averageUtilization: 60, averageValue: 100m}}}
`

var inV1 = map[string]string{
	"a":               "b",
	metricsKey:        `[{"type":"Pods","pods":{"metricName":"hits","targetAverageValue":"5","selector":{"matchLabels":{"a":"b"}}}}]`,
	currentMetricsKey: `[{"type":"Pods","pods":{"metricName":"hits","currentAverageValue":"3"}},{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":60,"currentAverageValue":"100m"}}]`,
	conditionsKey:     `[{"type":"AbleToScale","status":"True","lastTransitionTime":"2026-03-01T12:00:00Z","reason":"Ready"}]`,
	behaviorKey:       `{"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15}],"Tolerance":"10m"},"ScaleDown":null}`,
}

func TestV1(t *testing.T) {
	stored := parse[autoscalingv2.HorizontalPodAutoscaler](t, inV2)
	before := stored.DeepCopy()
	v1 := toV1(stored)
	if s := v1.Spec; *s.TargetCPUUtilizationPercentage != 70 || *s.MinReplicas != 2 || s.MaxReplicas != 5 || s.ScaleTargetRef.Name != "web" {
		t.Errorf("spec %+v", s)
	}
	if s := v1.Status; *s.CurrentCPUUtilizationPercentage != 60 || s.DesiredReplicas != 3 {
		t.Errorf("status %+v", s)
	}
	if diff := cmp.Diff(inV1, v1.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	back := fromV1(v1)
	if diff := cmp.Diff(before, stored); diff != "" {
		t.Errorf("the stored one changed (-before +after):\n%s", diff)
	}
	want, _ := json.Marshal(stored)
	if got, _ := json.Marshal(back); string(got) != string(want) {
		t.Errorf("back:\n%s\nwant\n%s", got, want)
	}
}

func TestFromV1(t *testing.T) {
	const cpu80 = `[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}]`
	for _, tt := range []struct {
		name, annotations, metrics, behavior string
	}{
		{"nothing", `{}`, cpu80, "null"},
		{"no JSON", `{"` + metricsKey + `":"{","` + behaviorKey + `":"[]","` + currentMetricsKey + `":"x","` + conditionsKey + `":"1"}`, cpu80, "null"},
		{"an amount without bounds", `{"` + metricsKey + `":"[{\"type\":\"Pods\",\"pods\":{\"targetAverageValue\":\"1e-10000000\"}}]","` + behaviorKey + `":"{\"ScaleUp\":{\"Tolerance\":\"1e-10000000\"}}"}`, cpu80, "null"},
		{"empty behavior", `{"` + behaviorKey + `":"{}"}`, cpu80, "null"},
		{"behavior as v2 has it", `{"` + behaviorKey + `":"{\"scaleUp\":{\"selectPolicy\":\"Min\"}}"}`, cpu80, `{"scaleUp":{"selectPolicy":"Min"}}`},
		{"object", `{"` + metricsKey + `":"[{\"type\":\"Object\",\"object\":{\"target\":{\"kind\":\"Service\",\"name\":\"s\"},\"metricName\":\"m\",\"targetValue\":\"0\",\"averageValue\":\"2\"}}]"}`,
			`[{"type":"Object","object":{"describedObject":{"kind":"Service","name":"s"},"target":{"type":"AverageValue","averageValue":"2"},"metric":{"name":"m"}}}]`, "null"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &autoscalingv1.HorizontalPodAutoscaler{}
			if err := json.Unmarshal([]byte(tt.annotations), &in.Annotations); err != nil {
				t.Fatal(err)
			}
			out := fromV1(in)
			metrics, _ := json.Marshal(out.Spec.Metrics)
			behavior, _ := json.Marshal(out.Spec.Behavior)
			if string(metrics) != tt.metrics || string(behavior) != tt.behavior || len(out.Annotations) != 0 {
				t.Errorf("metrics %s, behavior %s, annotations %v", metrics, behavior, out.Annotations)
			}
		})
	}
}

// TestRandomV1 checks, with random objects, that a conversion never fails, and that a second round trip through v1 changes nothing.
func TestRandomV1(t *testing.T) {
	f := kindstest.Filler(rand.NewSource(1)).Funcs(func(q *resource.Quantity, c randfill.Continue) {
		*q = *resource.NewMilliQuantity(1+c.Int63n(5000), resource.DecimalSI)
	})
	for i := range 200 {
		stored := &autoscalingv2.HorizontalPodAutoscaler{}
		f.NilChance([]float64{0, .3, .7, .95}[i%4]).NumElements(0, 1+i%3).Fill(stored)
		once := fromV1(toV1(stored))
		again := fromV1(toV1(once))
		if !equality.Semantic.DeepEqual(once, again) {
			t.Fatalf("object %d (-once +again):\n%s", i, cmp.Diff(once, again))
		}
	}
}

func TestRows(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	stored := parse[autoscalingv2.HorizontalPodAutoscaler](t, inV2)
	stored.CreationTimestamp = metav1.NewTime(now.Add(-10 * time.Second))
	external := autoscalingv2.MetricSpec{Type: "External", External: &autoscalingv2.ExternalMetricSource{Target: autoscalingv2.MetricTarget{AverageValue: quantity("9")}}}
	object := autoscalingv2.MetricSpec{Type: "Object", Object: &autoscalingv2.ObjectMetricSource{Target: autoscalingv2.MetricTarget{Value: quantity("7")}}}
	for _, tt := range []struct {
		name string
		row  func(schema.Object, metav1.Time) []any
		obj  schema.Object
		want []any
	}{
		{"v2", HorizontalPodAutoscaler.Row, stored, []any{"web", "Deployment/web", "3/5, cpu: 60%/70%", "2", int64(5), int64(0), "10s"}},
		{"v1", HorizontalPodAutoscaler.Versions[0].Row, toV1(stored), []any{"web", "Deployment/web", "3/5, cpu: 60%/70%", "2", int64(5), int64(0), "10s"}},
		{"many", HorizontalPodAutoscaler.Row, &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			Metrics: []autoscalingv2.MetricSpec{external, object, external, {}},
		}}, []any{"", "/", "<unknown>/9 (avg), <unknown>/7 + 2 more...", "<unset>", int64(0), int64(0), "<unknown>"}},
		{"odd", HorizontalPodAutoscaler.Row, &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			Metrics: []autoscalingv2.MetricSpec{{Type: "External"}, {Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: "memory"}}},
		}}, []any{"", "/", "<unknown type>, memory: <unknown>/<auto>", "<unset>", int64(0), int64(0), "<unknown>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.row(tt.obj, now)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
		})
	}
}
