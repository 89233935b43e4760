package check

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestFaultsEnd(t *testing.T) {
	p := field.NewPath("spec", "name")
	var below, all Faults
	for range MaxFaults + 10 {
		below.Required(p, "")
	}
	all.Forbidden(p, "first")
	all.Add(below.List...)
	all.Required(p, "")
	const want = 1 + MaxFaults + 10 + 1
	if all.Count() != want || len(all.List) != MaxFaults+1 {
		t.Errorf("%d faults are counted and %d listed, want %d and %d", all.Count(), len(all.List), want, MaxFaults+1)
	}
	if last := all.List[MaxFaults].Error(); last != "...: Too many: 12: more faults, which are not listed" {
		t.Errorf("the last is %q", last)
	}
	cut := Cut(append(all.List, field.Required(p, "")))
	if last := cut[len(cut)-1].Error(); len(cut) != MaxFaults+1 || last != "...: Too many: 13: more faults, which are not listed" {
		t.Errorf("%d are left, the last is %q", len(cut), last)
	}
}

func TestFewFaultsStay(t *testing.T) {
	var f Faults
	f.Required(field.NewPath("a"), "")
	f.Invalid(field.NewPath("b"), strings.Repeat("x", 2*maxText), "is long")
	if cut := Cut(f.List); len(cut) != 2 || cut[0] != f.List[0] || cut[1] != f.List[1] {
		t.Errorf("faults %v", cut)
	}
	if cut := Cut(nil); cut != nil {
		t.Errorf("no faults became %v", cut)
	}
}

// TestLongFaultsEnd: every fault may quote what is as long as the object.
func TestLongFaultsEnd(t *testing.T) {
	var f Faults
	for range 10 {
		f.Invalid(field.NewPath("b"), strings.Repeat("x", 2*maxText), "is long")
	}
	cut := Cut(f.List)
	if last := cut[len(cut)-1].Error(); len(cut) != 2 || last != "...: Too many: 9: more faults, which are not listed" {
		t.Errorf("%d are left, the last is %.100q", len(cut), last)
	}
}
