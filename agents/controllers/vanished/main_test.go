package vanished_test

import (
	"os"
	"testing"

	"gantry/registry/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }
