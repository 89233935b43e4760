package engine_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/engine/enginetest"
	"gantry/registry/leaktest"
)

var testImage = fmt.Sprintf("gantry-engine-test:%d", os.Getpid())

var buildTestImage = sync.OnceValue(func() error { return enginetest.BuildImage(context.Background(), testImage) })

func TestMain(m *testing.M) {
	code := leaktest.Run(m)
	enginetest.RemoveImage(context.Background(), testImage)
	os.Exit(code)
}

func TestDocker(t *testing.T) {
	if err := buildTestImage(); err != nil {
		t.Fatal(err)
	}
	enginetest.Run(t, enginetest.Target{Image: testImage, New: func(t *testing.T) engine.Engine {
		d, err := engine.Open("")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return engine.New(d, engine.Config{Node: strings.ToLower(fmt.Sprintf("et-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))), DataDir: t.TempDir()})
	}})
}

func TestFake(t *testing.T) {
	enginetest.Run(t, enginetest.Target{Image: testImage, New: func(t *testing.T) engine.Engine {
		f := engine.NewFake("n1")
		f.AddImage(testImage, engine.FakeImage{Run: enginetest.Program})
		return f
	}})
}
