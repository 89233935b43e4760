package apitest

import (
	"os"
	"testing"

	"gantry/registry"
	"gantry/registry/leaktest"
	"gantry/registry/registrytest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

func TestRegistry(t *testing.T) {
	Run(t, func(t *testing.T) registry.API {
		r, _ := registrytest.New(t)
		return r
	})
}
