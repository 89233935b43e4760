package wire_test

import (
	"math/rand"
	"sync"
	"testing"

	"gantry/schema"
	"gantry/schema/internal/wire"
	"gantry/schema/kinds"
	"gantry/schema/kinds/kindstest"
)

// randomly fills objects of k.
func randomly(k *schema.Kind, seed int64, n int, each func(obj schema.Object)) {
	f := kindstest.Filler(rand.NewSource(seed))
	for i := range n {
		obj := k.New()
		f.NilChance([]float64{0, .3, .7, .95}[i%4]).NumElements(0, 1+i%7).Fill(obj)
		k.SetTypeMeta(obj)
		each(obj)
	}
}

// TestKindsArePlanned checks that no field of any kind is left to the general codecs, which are slow.
func TestKindsArePlanned(t *testing.T) {
	for _, k := range kinds.BuiltIn().All {
		if paths := wire.Unplanned(k.New()); len(paths) > 0 {
			t.Errorf("%s: there is no plan for %v", k.Kind, paths)
		}
	}
}

// TestRandomObjects checks that random objects are written and read as encoding/json does it.
func TestRandomObjects(t *testing.T) {
	for _, k := range kinds.BuiltIn().All {
		t.Run(k.Kind, func(t *testing.T) {
			randomly(k, 5, 40, func(obj schema.Object) {
				want, err := encoded(obj)
				if done := encodedAlike(t, obj); done != (err == nil) && len(wire.Unreadable(obj)) == 0 {
					t.Errorf("encoded: %v, encoding/json says %v", done, err)
				}
				if err != nil || len(wire.Unreadable(obj)) > 0 {
					return // a random Quantity, say, that has no text
				}
				if got := k.New(); !wire.Decode(want, got) {
					t.Errorf("not taken:\n%s", want)
				} else {
					asWanted(t, want, got)
				}
			})
		})
	}
}

// TestFirstUseIsShared checks that several goroutines may use a type for the first time at once.
func TestFirstUseIsShared(t *testing.T) {
	type fresh struct {
		Items []struct {
			Name   string            `json:"name"`
			Labels map[string]string `json:"labels,omitempty"`
			Next   *fresh            `json:"next,omitempty"`
		} `json:"items"`
	}
	data := []byte(`{"items":[{"name":"a","labels":{"b":"c"},"next":{"items":[{"name":"d"}]}}]}`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			v := new(fresh)
			if !wire.Decode(data, v) || !asWanted(t, data, v) || !encodedAlike(t, v) {
				t.Error("it was not taken")
			}
		})
	}
	all.Wait()
}
