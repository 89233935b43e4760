// Package usagerate turns counters that only grow, such as the CPU time of containers, into rates. It keeps the samples of the last minute, so
// that whoever asks again gets the rate since then; nothing is sampled when nobody asks.
package usagerate

import (
	"math"
	"time"
)

// The bounds of what is kept, and of the time that a rate covers.
const (
	keep     = time.Minute      // older samples are dropped
	spacing  = 5 * time.Second  // between samples that are kept
	wanted   = 10 * time.Second // a rate covers this time where such a sample is kept
	shortest = time.Second / 2  // a rate of less would be noise
)

// Point is a counter at a time.
type Point struct {
	At    time.Time
	Value uint64
}

// Rate is how much a counter grew per second, in the Window that ended at the later point.
type Rate struct {
	PerSecond uint64
	Window    time.Duration
}

// History keeps samples of counters by their keys. A counter that begins anew, as that of a container that was restarted, needs another key.
// The zero value is ready; not safe for concurrent use.
type History[K comparable] struct {
	samples []sample[K] // oldest first
}

type sample[K comparable] struct {
	at     time.Time
	points map[K]Point
}

// Add keeps a sample taken at a time, and returns what rates of its points can be compared with. The map must not be changed afterwards.
func (h *History[K]) Add(at time.Time, points map[K]Point) Base[K] {
	first := 0
	for first < len(h.samples) && (at.Sub(h.samples[first].at) > keep || h.samples[first].at.After(at)) {
		first++
	}
	h.samples = h.samples[first:]
	var base Base[K]
	for i, s := range h.samples {
		if age := at.Sub(s.at); age >= wanted || i == 0 && age >= shortest {
			base.points = s.points
		}
	}
	if n := len(h.samples); n == 0 || at.Sub(h.samples[n-1].at) >= spacing {
		h.samples = append(h.samples, sample[K]{at, points})
	}
	return base
}

// Base is an earlier sample.
type Base[K comparable] struct {
	points map[K]Point
}

// Empty tells that there is no earlier sample, or none that is old enough.
func (b Base[K]) Empty() bool { return b.points == nil }

// Rate is that of a counter that is at a point now. One that the earlier sample does not have is compared with its start, when it was
// zero, once that is long enough ago; the zero time: the start is not known. ok is false where nothing can be compared.
func (b Base[K]) Rate(key K, now Point, start time.Time) (r Rate, ok bool) {
	before, there := b.points[key]
	if !there {
		if start.IsZero() || now.At.Sub(start) < wanted {
			return Rate{}, false
		}
		before = Point{At: start}
	}
	window := now.At.Sub(before.At)
	if window < shortest || now.Value < before.Value {
		return Rate{}, false
	}
	grown := float64(now.Value-before.Value) / window.Seconds()
	return Rate{PerSecond: uint64(min(grown, math.MaxInt64)), Window: window}, true
}
