package apply_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"gantry/schema/apply"
	"gantry/schema/apps"
)

// TestHeap: what an apply leaves behind is small, and goes with the next garbage collection.
func TestHeap(t *testing.T) {
	inUse := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(1)) // schemas go while they are used
	types := &apply.Types{}
	if _, err := write(types, apps.Deployment, nil, step{manager: "a", config: deployment}); err != nil {
		t.Fatal(err)
	}
	before := inUse()
	for range 100 {
		if _, err := write(types, apps.Deployment, nil, step{manager: "a", config: deployment}); err != nil {
			t.Fatal(err)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("heap %d kB, and %d kB more after 100 applies and a collection", before>>10, (inUse()-before)>>10)
	if grown := inUse() - before; grown > 128<<10 {
		t.Errorf("applies left %d bytes behind", grown)
	}
	runtime.KeepAlive(types)
}
