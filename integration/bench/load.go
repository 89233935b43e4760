package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// measurement is one run of one row or floor.
type measurement struct {
	ops      int
	elapsed  time.Duration
	cpu      time.Duration // of the measured process
	p50, p99 time.Duration
	note     string // shown beside the figures
	unit     string // what is counted, where it is no rate: then value is it
	value    float64
}

func (m measurement) rate() float64 { return float64(m.ops) / m.elapsed.Seconds() }

// perSecond is a rate as text: a slow one with its tenths.
func perSecond(rate float64) string {
	if rate < 100 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// perOp is the CPU time of one operation.
func (m measurement) perOp() time.Duration {
	if m.ops == 0 {
		return 0
	}
	return m.cpu / time.Duration(m.ops)
}

// perPlace is the time from the end of one operation to that of the next.
func (m measurement) perPlace() time.Duration {
	if m.ops == 0 {
		return 0
	}
	return m.elapsed / time.Duration(m.ops)
}

func (m measurement) String() string {
	if m.unit != "" {
		return fmt.Sprintf("%.3g %s %s", m.value, m.unit, m.note)
	}
	return fmt.Sprintf("%s/s, p50 %v, p99 %v, CPU %v %s", perSecond(m.rate()), short(m.p50), short(m.p99), short(m.perOp()), m.note)
}

// drive runs op by n clients at once for the length of a measurement, and measures the CPU time of p.
func drive(p *child, n int, length time.Duration, op func(client int) error) (measurement, error) {
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	times := make([][]time.Duration, n)
	before, began := p.cpu(), time.Now()
	end := began.Add(length)
	for i := range n {
		group.Go(func() {
			for t := time.Now(); t.Before(end) && failed.Load() == nil; {
				if err := op(i); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(t))
				t = now
			}
		})
	}
	group.Wait()
	m := measurement{elapsed: time.Since(began)}
	if err := failed.Load(); err != nil {
		return m, *err
	}
	time.Sleep(settle)
	m.cpu = p.cpu() - before
	all := slices.Concat(times...)
	m.ops = len(all)
	m.p50, m.p99 = percentiles(all)
	return m, nil
}

// settle is how long the CPU time of what follows from the operations (controllers, garbage collection) is still counted as theirs.
const settle = 100 * time.Millisecond

func percentiles(all []time.Duration) (p50, p99 time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*99/100]
}
