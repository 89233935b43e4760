package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/env"
	"gantry/agents/kubelet/podstate"
)

var update = flag.Bool("update", false, "rewrite testdata/container/*.output.json")

// Every testdata/container/<case>.input.yaml is a pod whose first container is rendered, with its sandbox.
func TestRenderContainer(t *testing.T) {
	inputs, err := filepath.Glob("testdata/container/*.input.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatal("no inputs", err)
	}
	for _, file := range inputs {
		name := filepath.Base(file[:len(file)-len(".input.yaml")])
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pod := &corev1.Pod{}
			if err := yaml.UnmarshalStrict(text, pod); err != nil {
				t.Fatal(err)
			}
			got := renderCase(t, pod)
			golden := filepath.Join("testdata/container", name+".output.json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// created is what the engine was asked to create.
type created struct {
	Name   string
	Fault  string `json:",omitempty"`
	Config any
	Host   any
}

// recordingAPI is an engine that can do everything and runs nothing.
type recordingAPI struct {
	engine.API
	mu      sync.Mutex // guards created
	created []created
}

func (a *recordingAPI) ImageInspect(context.Context, string, ...client.ImageInspectOption) (image.InspectResponse, error) {
	return image.InspectResponse{}, nil
}

func (a *recordingAPI) Info(context.Context) (system.Info, error) {
	return system.Info{MemTotal: 16 << 30, MemoryLimit: true, SwapLimit: true, CPUCfsQuota: true, CPUShares: true, LoggingDriver: "json-file"}, nil
}

func (a *recordingAPI) ContainerCreate(_ context.Context, c *container.Config, h *container.HostConfig, _ *network.NetworkingConfig, _ *ocispec.Platform, name string) (container.CreateResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.created = append(a.created, created{Name: name, Config: c, Host: h})
	return container.CreateResponse{ID: name}, nil
}

// ContainerStart refuses the pause container's own seccomp profile, which the goldens leave out.
func (a *recordingAPI) ContainerStart(_ context.Context, id string, _ container.StartOptions) error {
	if strings.HasSuffix(id, "-seccomp") {
		return errors.New("no")
	}
	return nil
}

func (a *recordingAPI) ContainerRemove(context.Context, string, container.RemoveOptions) error {
	return nil
}

func renderCase(t *testing.T, pod *corev1.Pod) []byte {
	t.Helper()
	api := &recordingAPI{}
	e := engine.New(api, engine.Config{Node: "n1", DataDir: t.TempDir()})
	if err := e.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	api.created = nil
	k := newKubelet(Config{Gateway: gateway{}, NodeName: "n1", DataDir: t.TempDir(), Log: testLog(t)}, e)
	if _, err := k.createSandbox(t.Context(), pod, 0); err != nil {
		t.Fatal(err)
	}
	c := &pod.Spec.Containers[0]
	vars, err := env.Resolve(pod, c, env.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	in := startInput{pod: pod, sandbox: "box", action: action{container: podstate.Member{Container: c, Role: podstate.RoleApp}, attempt: 2, backoff: podstate.MaxBackoff}}
	cfg, err := containerConfig(in, &engine.Image{Ref: c.Image, User: "www"}, vars, nil, nil)
	if err == nil {
		_, err = e.CreateContainer(t.Context(), cfg)
	}
	all := api.created
	if err != nil {
		all = append(all, created{Fault: err.Error()})
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(out, &tree); err != nil {
		t.Fatal(err)
	}
	out, err = json.MarshalIndent(prune(tree), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// prune takes out what says nothing: null, "", 0, false and empty objects. Empty lists stay: to the engine they differ from none.
func prune(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			if e = prune(e); e == nil {
				delete(x, k)
			} else {
				x[k] = e
			}
		}
		if len(x) == 0 {
			return nil
		}
	case []any:
		for i := range x {
			x[i] = prune(x[i])
		}
	case string:
		if x == "" {
			return nil
		}
	case float64:
		if x == 0 {
			return nil
		}
	case bool:
		if !x {
			return nil
		}
	}
	return v
}
