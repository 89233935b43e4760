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

func TestCheckWidth(t *testing.T) {
	list := func(n int) string { return "[" + strings.Repeat("0,", n-1) + "0]" }
	for name, tt := range map[string]struct {
		data string
		ok   bool
	}{
		"as wide as may be":        {list(MaxWidth), true},
		"wider":                    {list(MaxWidth + 1), false},
		"wider within":             {`{"a":[{"b":` + list(MaxWidth+1) + `}]}`, false},
		"two together":             {`[` + list(MaxWidth) + `,` + list(MaxWidth) + `]`, true},
		"commas in a text":         {`["` + strings.Repeat(`,\"`, MaxWidth) + `"]`, true},
		"more ends than starts":    {strings.Repeat("]", MaxDepth) + list(MaxWidth+1), false},
		"deeper than is counted":   {strings.Repeat("[", MaxDepth+1), false},
		"no object and no list":    {"0", true},
		"commas outside of a list": {strings.Repeat(",", MaxWidth+1), false},
	} {
		if err := CheckWidth([]byte(tt.data)); (err == nil) != tt.ok {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
