package horizontalpodautoscaler

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"gantry/agents/controllers/horizontalpodautoscaler/metrics"
	"gantry/agents/controllers/plantest"
	"gantry/schema/autoscaling"
)

// found is what a case says of the target and the metrics. Times are seconds before now.
type found struct {
	Replicas, Current int32
	Selector, Error   string
	Several           []string
	Samples           []struct {
		Pods   map[string]int64
		Values []int64
		Error  string
	}
	Recommended, Ups, Downs []struct {
		Replicas int32
		Ago      int64
	}
}

func (f *found) observation(a *autoscalingv2.HorizontalPodAutoscaler, list []*corev1.Pod) observation {
	o := observation{autoscaler: a, pods: list, several: f.Several}
	o.target = target{replicas: f.Replicas, current: f.Current, selectorText: f.Selector}
	if f.Error != "" {
		o.target.err = errors.New(f.Error)
	}
	if s, err := labels.Parse(f.Selector); err == nil && f.Selector != "" {
		o.target.selector = s
	}
	for _, in := range f.Samples {
		s := sample{values: in.Values}
		if in.Error != "" {
			s.err = errors.New(in.Error)
		}
		if in.Pods != nil {
			s.pods = map[string]metrics.Pod{}
		}
		for name, value := range in.Pods {
			s.pods[name] = metrics.Pod{Value: value, At: plantest.Now, Window: 15 * time.Second}
		}
		o.samples = append(o.samples, s)
	}
	return o
}

func (f *found) history() *history {
	h := &history{}
	read := func(in []struct {
		Replicas int32
		Ago      int64
	}) (out []moment) {
		for _, m := range in {
			out = append(out, moment{m.Replicas, plantest.Now.Add(-time.Duration(m.Ago) * time.Second)})
		}
		return out
	}
	h.recommendations, h.ups, h.downs = read(f.Recommended), read(f.Ups), read(f.Downs)
	return h
}

// A case has the spec of an autoscaler, its pods and what was found of the target and the metrics.
func TestDecisions(t *testing.T) {
	plantest.Golden(t, "decide", func(t *testing.T, files map[string]string) string {
		a := plantest.Parse[autoscalingv2.HorizontalPodAutoscaler](t, files["autoscaler"])[0]
		a.Namespace, a.Name = "default", "web"
		autoscaling.HorizontalPodAutoscaler.Default(a)
		f := plantest.Parse[found](t, files["found"])[0]
		d := decide(f.observation(a, plantest.Parse[corev1.Pod](t, files["pods"])), f.history(), plantest.Now)
		var b strings.Builder
		if d.rescale {
			ev := d.scaled(nil, plantest.Now)
			d.events = append(d.events, ev)
			fmt.Fprintf(&b, "scale %d to %d: %s\n", f.Replicas, d.replicas, d.reason)
		}
		for _, ev := range d.events {
			fmt.Fprintf(&b, "event %s: %s\n", ev.Reason, ev.Message)
		}
		text, err := yaml.Marshal(d.autoscaler.Status)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
		return b.String()
	})
}

func drawRules(t *rapid.T, name string) *autoscalingv2.HPAScalingRules {
	r := &autoscalingv2.HPAScalingRules{}
	if rapid.Bool().Draw(t, name+" window") {
		n := rapid.Int32Range(0, 3600).Draw(t, name+" seconds")
		r.StabilizationWindowSeconds = &n
	}
	selected := rapid.SampledFrom([]autoscalingv2.ScalingPolicySelect{"Max", "Min", "Disabled"}).Draw(t, name+" select")
	r.SelectPolicy = &selected
	for range rapid.IntRange(0, 3).Draw(t, name+" policies") {
		r.Policies = append(r.Policies, autoscalingv2.HPAScalingPolicy{
			Type:          rapid.SampledFrom([]autoscalingv2.HPAScalingPolicyType{"Pods", "Percent", "x"}).Draw(t, "type"),
			Value:         rapid.OneOf(rapid.Int32Range(1, 200), rapid.Int32()).Draw(t, "value"),
			PeriodSeconds: rapid.Int32Range(1, 1800).Draw(t, "period"),
		})
	}
	return r
}

// The replicas are never outside the bounds, whatever metrics and behavior say; and within the tolerance they stay.
func TestReplicasAreWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &autoscalingv2.HorizontalPodAutoscaler{}
		least := rapid.Int32Range(1, 20).Draw(t, "min")
		a.Spec.MinReplicas, a.Spec.MaxReplicas = &least, least+rapid.Int32Range(0, 30).Draw(t, "max")
		if rapid.Bool().Draw(t, "behavior") {
			a.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: drawRules(t, "up"), ScaleDown: drawRules(t, "down")}
		}
		autoscaling.HorizontalPodAutoscaler.Default(a)
		target := int32(50)
		a.Spec.Metrics[0].Resource.Target.AverageUtilization = &target
		h, now := &history{}, plantest.Now
		replicas := rapid.Int32Range(0, 60).Draw(t, "replicas")
		for range 5 {
			f := &found{Replicas: replicas, Current: replicas, Selector: "app=web"}
			o := f.observation(a, nil)
			s := sample{pods: map[string]metrics.Pod{}}
			steady := rapid.Bool().Draw(t, "steady")
			for i := range replicas {
				p := plantest.MakePod(fmt.Sprintf("p%d", i))
				p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": *cpu(1000)}
				started := metaTime(now.Add(-time.Hour))
				p.Status.StartTime = &started
				o.pods = append(o.pods, p)
				used := int64(500)
				if !steady {
					used = rapid.OneOf(rapid.Int64Range(0, 5000), rapid.Int64Range(math.MinInt64, math.MaxInt64)).Draw(t, "used")
					if rapid.IntRange(0, 9).Draw(t, "missing") == 0 {
						continue
					}
				}
				s.pods[p.Name] = metrics.Pod{Value: used, At: now, Window: time.Minute}
			}
			o.samples = []sample{s}
			d := decide(o, h, now)
			if d.rescale && replicas != 0 && (d.replicas < least || d.replicas > a.Spec.MaxReplicas) {
				t.Fatalf("%d replicas, want %d to %d", d.replicas, least, a.Spec.MaxReplicas)
			}
			if d.rescale && replicas == 0 {
				t.Fatal("a target that was scaled to 0 is scaled")
			}
			if steady && replicas >= least && replicas <= a.Spec.MaxReplicas && len(h.recommendations) == 0 && d.rescale {
				t.Fatalf("scaled from %d to %d at the target", replicas, d.replicas)
			}
			if d.rescale {
				h.scaled(a.Spec.Behavior, replicas, d.replicas, now)
				replicas = d.replicas
			}
			now = now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "later")) * time.Second)
		}
	})
}

// What only etcd's admin can write: nothing panics.
func TestHostileAutoscalers(t *testing.T) {
	for _, text := range []string{
		"{spec: {maxReplicas: -5, minReplicas: -7}}",
		"{spec: {maxReplicas: 3, minReplicas: 9}}",
		"{spec: {maxReplicas: 3, metrics: [{type: Resource}, {type: Pods, pods: {metric: {name: x}, target: {type: x}}}, {type: Object}, {type: External, external: {metric: {name: x}, target: {type: x}}}]}}",
		"{spec: {maxReplicas: 9, metrics: [{type: External, external: {metric: {name: x}, target: {type: Value, value: '0'}}}]}}",
		"{spec: {maxReplicas: 9, metrics: [{type: External, external: {metric: {name: x}, target: {type: AverageValue, averageValue: '-1'}}}]}}",
		"{spec: {maxReplicas: 9, behavior: {scaleUp: {}, scaleDown: {policies: []}}}}",
	} {
		a := plantest.Parse[autoscalingv2.HorizontalPodAutoscaler](t, text)[0]
		autoscaling.HorizontalPodAutoscaler.Default(a)
		for _, replicas := range []int32{0, 1, 3, 100} {
			f := &found{Replicas: replicas, Selector: "app=web"}
			o := f.observation(a.DeepCopy(), []*corev1.Pod{plantest.MakePod("a")})
			for range a.Spec.Metrics {
				o.samples = append(o.samples, sample{pods: map[string]metrics.Pod{"a": {Value: math.MaxInt64}}, values: []int64{math.MaxInt64, 1}})
			}
			if d := decide(o, &history{}, plantest.Now); d.replicas < 0 || d.rescale && d.replicas > max(a.Spec.MaxReplicas, 0) {
				t.Errorf("%s with %d replicas: %d", text, replicas, d.replicas)
			}
		}
	}
}
