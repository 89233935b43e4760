package engine_test

import (
	"errors"
	"strings"
	"testing"

	"gantry/agents/kubelet/engine"
)

func TestReadStateWithoutContainer(t *testing.T) {
	if _, err := engine.ReadState(t.Context(), "", strings.Repeat("0", 64)); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("of no container: %v, want ErrNotFound", err)
	}
	if _, err := engine.ReadState(t.Context(), "unix://"+t.TempDir()+"/none.sock", "0"); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("of no engine: %v, want ErrUnreachable", err)
	}
}
