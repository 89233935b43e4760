// Package cost measures for tests what a function takes, so that work which grows as the square of its input is found.
package cost

import (
	"runtime"
	"syscall"
	"testing"
	"time"
)

// Of returns the processor time that f takes, and the bytes that it allocates. Other threads do not count for the time; other
// goroutines count for the bytes, so tests that measure are not parallel.
func Of(t testing.TB, f func()) (cpu time.Duration, bytes uint64) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := threadTime(t)
	f()
	cpu = threadTime(t) - start
	runtime.ReadMemStats(&after)
	return cpu, after.TotalAlloc - before.TotalAlloc
}

// The sizes that InProportion compares, and how much more the larger may take than the smaller.
const (
	Small = 800
	Times = 12
	most  = 60
)

// InProportion measures what run returns for an input of size Small and for one that is Times as long. What grows as the square
// takes 144 times as much.
func InProportion(t testing.TB, run func(n int) func()) {
	t.Helper()
	measure := func(n int) (time.Duration, uint64) { return Of(t, run(n)) }
	measure(Small) // what is made once is made here
	cpu, bytes := measure(Small)
	moreCPU, moreBytes := measure(Small * Times)
	// The clock of processor time may move in steps of some milliseconds.
	if moreCPU > most*(cpu+10*time.Millisecond) {
		t.Errorf("%d times the size takes %v where the size takes %v", Times, moreCPU, cpu)
	}
	if moreBytes > most*(bytes+16<<10) {
		t.Errorf("%d times the size takes %d bytes where the size takes %d", Times, moreBytes, bytes)
	}
	t.Logf("%v, %d kB; %d times the size %v, %d kB", cpu, bytes>>10, Times, moreCPU, moreBytes>>10)
}

// threadTime is the processor time of the calling thread.
func threadTime(t testing.TB) time.Duration {
	t.Helper()
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
