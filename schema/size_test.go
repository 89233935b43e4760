package schema

import (
	"strings"
	"testing"
)

func TestCheckSize(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		ok         bool
	}{
		{"nothing", "", true},
		{"as many as may be", "[" + strings.Repeat("{},", MaxObjects-1) + "{}]", true},
		{"one more", "[" + strings.Repeat("{},", MaxObjects) + "{}]", false},
		{"nulls", "[" + strings.Repeat("null,", MaxObjects+1) + "0]", false},
		{"in a text", `{"a":"` + strings.Repeat("{null", 2*MaxObjects) + `"}`, true},
		{"behind an escaped quote", `{"a":"` + strings.Repeat(`\"{`, 2*MaxObjects) + `"}`, true},
		{"no JSON", strings.Repeat("{", 10*MaxObjects), false},
	} {
		if err := CheckSize([]byte(tt.data)); (err == nil) != tt.ok {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
}

func TestCheckDepth(t *testing.T) {
	for depth, ok := range map[int]bool{0: true, MaxDepth: true, MaxDepth + 1: false} {
		data := strings.Repeat("[", depth) + `"]["` + strings.Repeat("]", depth)
		if err := CheckDepth([]byte(data)); (err == nil) != ok {
			t.Errorf("%d levels: error %v", depth, err)
		}
	}
}
