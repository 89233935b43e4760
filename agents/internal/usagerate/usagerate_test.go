package usagerate

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// A counter that grows by 3 a second is asked for at different times.
func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		asked  []float64 // seconds
		window float64   // of the last rate; 0: there is none
	}{
		{"once", []float64{0}, 0},
		{"too soon", []float64{0, 0.2}, 0},
		{"a second later", []float64{0, 1}, 1},
		{"every second", []float64{0, 1, 2, 3, 4, 5, 6, 7}, 7},
		{"the latest that is old enough", []float64{0, 5, 10, 16}, 11},
		{"every 15 seconds", []float64{0, 15, 30, 45, 60, 75}, 15},
		{"within a minute", []float64{0, 60}, 60},
		{"after more than a minute", []float64{0, 61}, 0},
		{"a clock that was set back", []float64{100, 50}, 0},
	} {
		var h History[string]
		var r Rate
		var ok bool
		for _, s := range tt.asked {
			p := Point{at(s), uint64(1000 + 3*s)}
			base := h.Add(p.At, map[string]Point{"a": p})
			r, ok = base.Rate("a", p, time.Time{})
		}
		if want := time.Duration(tt.window * float64(time.Second)); r.Window != want || ok != (want > 0) || ok && r.PerSecond != 3 {
			t.Errorf("%s: %+v %v, want %s", tt.name, r, ok, want)
		}
	}
}

func TestOneThatIsNew(t *testing.T) {
	var h History[string]
	h.Add(noon, map[string]Point{"a": {noon, 100}})
	now := Point{at(20), 400}
	base := h.Add(now.At, map[string]Point{"b": now})
	for _, tt := range []struct {
		name  string
		key   string
		point Point
		start time.Time
		want  Rate
	}{
		{"since its start", "b", now, noon, Rate{20, 20 * time.Second}},
		{"it has just started", "b", now, at(11), Rate{}},
		{"its start is not known", "b", now, time.Time{}, Rate{}},
		{"it shrank", "a", Point{at(20), 99}, noon, Rate{}},
	} {
		if r, ok := base.Rate(tt.key, tt.point, tt.start); r != tt.want || ok != (tt.want != Rate{}) {
			t.Errorf("%s: %+v %v, want %+v", tt.name, r, ok, tt.want)
		}
	}
}

// What is kept is bounded, however often it is asked.
func TestKeepsLittle(t *testing.T) {
	var h History[string]
	for i := range 10_000 {
		now := at(float64(i) / 10)
		h.Add(now, map[string]Point{"a": {now, uint64(i)}})
	}
	if n := len(h.samples); n > 13 {
		t.Errorf("%d samples are kept", n)
	}
}
