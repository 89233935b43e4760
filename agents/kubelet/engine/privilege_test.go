package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMissingCapabilities(t *testing.T) {
	if d := cmp.Diff([]string{"SYS_RESOURCE"}, missingCapabilities("Name:\tx\nCapBnd:\t000001fffeffffff\nCapAmb:\t0\n")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
