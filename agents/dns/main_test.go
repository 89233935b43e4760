package dns

import (
	"testing"

	"gantry/agents/internal/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }
