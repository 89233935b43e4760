package admin

import (
	"slices"
	"strings"
	"testing"
)

func TestTakeDataDir(t *testing.T) {
	for _, tt := range []struct{ line, dataDir, rest string }{
		{"get /registry --prefix", "", "get /registry --prefix"},
		{"--data-dir /d get /registry", "/d", "get /registry"},
		{"--data-dir=/d get /registry", "/d", "get /registry"},
		{"get --prefix --data-dir /d /registry", "/d", "get --prefix /registry"},
		{"get /registry --data-dir /d", "/d", "get /registry"},
		{"put k -- --data-dir x", "", "put k -- --data-dir x"},
		{"--data-dir /d put k -- --data-dir=x", "/d", "put k -- --data-dir=x"},
	} {
		dataDir, rest, err := TakeDataDir(strings.Fields(tt.line))
		if err != nil || dataDir != tt.dataDir || !slices.Equal(rest, strings.Fields(tt.rest)) {
			t.Errorf("%s: %q, %q, %v; want %q, %q", tt.line, dataDir, rest, err, tt.dataDir, tt.rest)
		}
	}
	for _, line := range []string{"get --data-dir", "--data-dir= get k"} {
		if _, _, err := TakeDataDir(strings.Fields(line)); err == nil {
			t.Errorf("%s: no error", line)
		}
	}
}
