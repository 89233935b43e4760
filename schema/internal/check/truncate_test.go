package check

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestErrorsAreTruncated(t *testing.T) {
	p := field.NewPath("spec", "name")
	var below, all Errors
	for range MaxErrors + 10 {
		below.Required(p, "")
	}
	all.Forbidden(p, "first")
	all.Add(below.List...)
	all.Required(p, "")
	const want = 1 + MaxErrors + 10 + 1
	if all.Count() != want || len(all.List) != MaxErrors+1 {
		t.Errorf("%d errors are counted and %d listed, want %d and %d", all.Count(), len(all.List), want, MaxErrors+1)
	}
	if last := all.List[MaxErrors].Error(); last != "...: Too many: 12: more errors, which are not listed" {
		t.Errorf("the last is %q", last)
	}
	cut := Truncate(append(all.List, field.Required(p, "")))
	if last := cut[len(cut)-1].Error(); len(cut) != MaxErrors+1 || last != "...: Too many: 13: more errors, which are not listed" {
		t.Errorf("%d are left, the last is %q", len(cut), last)
	}
}

func TestFewErrorsStay(t *testing.T) {
	var f Errors
	f.Required(field.NewPath("a"), "")
	f.Invalid(field.NewPath("b"), strings.Repeat("x", 2*maxText), "is long")
	if cut := Truncate(f.List); len(cut) != 2 || cut[0] != f.List[0] || cut[1] != f.List[1] {
		t.Errorf("errors %v", cut)
	}
	if cut := Truncate(nil); cut != nil {
		t.Errorf("no errors became %v", cut)
	}
}

// TestLongErrorsAreTruncated checks that the errors stay small where each of them quotes a value as long as the object.
func TestLongErrorsAreTruncated(t *testing.T) {
	var f Errors
	for range 10 {
		f.Invalid(field.NewPath("b"), strings.Repeat("x", 2*maxText), "is long")
	}
	cut := Truncate(f.List)
	if last := cut[len(cut)-1].Error(); len(cut) != 2 || last != "...: Too many: 9: more errors, which are not listed" {
		t.Errorf("%d are left, the last is %.100q", len(cut), last)
	}
}
