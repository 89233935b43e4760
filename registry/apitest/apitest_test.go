package apitest_test

import (
	"os"
	"testing"

	"gantry/registry"
	"gantry/registry/apitest"
	"gantry/registry/leaktest"
	"gantry/registry/registrytest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

func TestRegistry(t *testing.T) {
	apitest.Run(t, func(t *testing.T) registry.API {
		r, _ := registrytest.New(t)
		return r
	})
}
