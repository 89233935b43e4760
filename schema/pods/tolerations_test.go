package pods

import (
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func seconds(n int64) *int64 { return &n }

func TestTolerates(t *testing.T) {
	taint := corev1.Taint{Key: "dedicated", Value: "db", Effect: corev1.TaintEffectNoSchedule}
	tests := []struct {
		name       string
		toleration corev1.Toleration
		want       bool
	}{
		{"equal", corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpEqual, Value: "db", Effect: corev1.TaintEffectNoSchedule}, true},
		{"no operator is equal", corev1.Toleration{Key: "dedicated", Value: "db"}, true},
		{"another value", corev1.Toleration{Key: "dedicated", Value: "web"}, false},
		{"exists", corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists}, true},
		{"another key", corev1.Toleration{Key: "other", Operator: corev1.TolerationOpExists}, false},
		{"every key", corev1.Toleration{Operator: corev1.TolerationOpExists}, true},
		{"another effect", corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}, false},
		{"unknown operator", corev1.Toleration{Key: "dedicated", Operator: "Like", Value: "db"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			other := corev1.Toleration{Key: "unrelated"}
			if got := Tolerates([]corev1.Toleration{other, tt.toleration}, &taint); got != tt.want {
				t.Errorf("tolerates %v, want %v", got, tt.want)
			}
		})
	}
	if Tolerates(nil, &taint) {
		t.Error("no toleration tolerates the taint")
	}
	numeric := corev1.Taint{Key: "level", Value: "5", Effect: corev1.TaintEffectNoSchedule}
	if !Tolerates([]corev1.Toleration{{Key: "level", Operator: corev1.TolerationOpGt, Value: "4"}}, &numeric) {
		t.Error("the operator Gt is off")
	}
}

func TestUntoleratedForScheduling(t *testing.T) {
	taints := []corev1.Taint{
		{Key: "soft", Effect: corev1.TaintEffectPreferNoSchedule}, {Key: "a", Effect: corev1.TaintEffectNoSchedule},
		{Key: "b", Effect: corev1.TaintEffectNoExecute}, {Key: "c", Effect: "Unknown"},
	}
	var tolerations []corev1.Toleration
	for _, want := range []string{"a", "b", "c"} {
		got := UntoleratedForScheduling(taints, tolerations)
		if got == nil || got.Key != want {
			t.Fatalf("untolerated %v, want %s", got, want)
		}
		tolerations = append(tolerations, corev1.Toleration{Key: want, Operator: corev1.TolerationOpExists})
	}
	if got := UntoleratedForScheduling(taints, tolerations); got != nil {
		t.Errorf("untolerated %v, want none", got)
	}
}

func TestTolerationTime(t *testing.T) {
	taint := corev1.Taint{Key: "k", Effect: corev1.TaintEffectNoExecute}
	lasting := func(s *int64) corev1.Toleration {
		return corev1.Toleration{Key: "k", Operator: corev1.TolerationOpExists, TolerationSeconds: s}
	}
	tests := []struct {
		name        string
		tolerations []corev1.Toleration
		want        time.Duration
		forever     bool
	}{
		{name: "none"},
		{name: "another key", tolerations: []corev1.Toleration{{Key: "other", Operator: corev1.TolerationOpExists}}},
		{name: "forever", tolerations: []corev1.Toleration{lasting(nil)}, forever: true},
		{name: "limited", tolerations: []corev1.Toleration{lasting(seconds(30))}, want: 30 * time.Second},
		{name: "the shortest", tolerations: []corev1.Toleration{lasting(seconds(30)), lasting(nil), lasting(seconds(10)), lasting(seconds(20))}, want: 10 * time.Second},
		{name: "zero", tolerations: []corev1.Toleration{lasting(seconds(0)), lasting(seconds(10))}},
		{name: "negative", tolerations: []corev1.Toleration{lasting(seconds(-5))}},
		{name: "too long", tolerations: []corev1.Toleration{lasting(seconds(math.MaxInt64))}, want: maxTolerationSeconds * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, forever := TolerationTime(tt.tolerations, &taint)
			if d != tt.want || forever != tt.forever {
				t.Errorf("%v, forever %v; want %v, %v", d, forever, tt.want, tt.forever)
			}
		})
	}
}

func TestTolerateNoExecute(t *testing.T) {
	tests := []struct {
		name string
		have corev1.Toleration
		want bool
	}{
		{"the key", corev1.Toleration{Key: "k", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}, true},
		{"a value", corev1.Toleration{Key: "k", Value: "v", Effect: corev1.TaintEffectNoExecute}, true},
		{"every effect", corev1.Toleration{Key: "k"}, true},
		{"every key", corev1.Toleration{Operator: corev1.TolerationOpExists}, true},
		{"another effect", corev1.Toleration{Key: "k", Effect: corev1.TaintEffectNoSchedule}, false},
		{"another key", corev1.Toleration{Key: "other", Effect: corev1.TaintEffectNoExecute}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := TolerateNoExecute([]corev1.Toleration{tt.have}, "k"); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
