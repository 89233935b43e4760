package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// series is a row's measurements, one a round.
type series struct{ own, floor []measurement }

// median is the middle of what f says of every round; spread is the distance of its ends in parts of it.
func median[T ~int64 | ~float64](all []measurement, f func(measurement) T) (mid T, spread float64) {
	if len(all) == 0 {
		return 0, 0
	}
	values := make([]T, len(all))
	for i, m := range all {
		values[i] = f(m)
	}
	slices.Sort(values)
	mid = values[len(values)/2]
	if mid != 0 {
		spread = float64(values[len(values)-1]-values[0]) / float64(mid)
	}
	return mid, spread
}

func perOp(m measurement) time.Duration { return m.perOp() }

// print writes the table: medians of the rounds.
func (b *bench) print(out io.Writer, picked []*row, results map[*row]*series) {
	fmt.Fprintf(out, "%s, %d CPUs, %s, %d pods in the lists, %d clients on %d connections of HTTP/2, %d rounds of %s, %s\n\n",
		cpuModel(), runtime.NumCPU(), runtime.Version(), b.pods, b.clients, b.conns, b.rounds, b.length, time.Now().UTC().Format("2006-01-02 15:04"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "row\trate/s\tp50\tp99\tCPU/op\tspread\tfloor\tof floor\tgoal\treached\tnote")
	for _, r := range picked {
		s := results[r]
		if s == nil || len(s.own) == 0 {
			continue
		}
		last := s.own[len(s.own)-1]
		if last.unit != "" {
			fmt.Fprintf(w, "%s\t%.4g %s\t\t\t\t\t\t\t\t\t%s\n", r.name, last.value, last.unit, last.note)
			continue
		}
		cpu, spread := median(s.own, perOp)
		rate, _ := median(s.own, measurement.rate)
		p50, _ := median(s.own, func(m measurement) time.Duration { return m.p50 })
		p99, _ := median(s.own, func(m measurement) time.Duration { return m.p99 })
		by := perOp
		if r.by != nil {
			by = r.by
		}
		value, _ := median(s.own, by)
		floor, _ := median(s.floor, by)
		of, goal, reached := "", "", ""
		if floor > 0 && value > 0 {
			of = fmt.Sprintf("%.0f %%", 100*float64(floor)/float64(value))
		}
		if limit := b.goal(r, floor); limit > 0 {
			goal, reached = short(limit), "no"
			if value <= limit {
				reached = "yes"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.0f %%\t%s\t%s\t%s\t%s\t%s\n",
			r.name, perSecond(rate), short(p50), short(p99), short(cpu), 100*spread, short(floor), of, goal, reached, last.note)
	}
	w.Flush()
}

// goal is a row's for this many pods and its floor.
func (b *bench) goal(r *row, floor time.Duration) time.Duration {
	if r.within > 0 {
		return time.Duration(r.within * float64(floor))
	}
	if r.scaled {
		return r.goal * time.Duration(b.pods) / 3000
	}
	return r.goal
}

// short is a duration in three digits.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < time.Millisecond:
		return fmt.Sprintf("%.3g us", float64(d)/float64(time.Microsecond))
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}
