package kubelet

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
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

func renderCase(t *testing.T, pod *corev1.Pod) []byte {
	t.Helper()
	e := engine{memory: 16 << 30, memoryLimit: true, swapLimit: true, cpuQuota: true, cpuShares: true, jsonLogs: true, negativeOOM: true, privileged: true}
	c := &pod.Spec.Containers[0]
	env, err := resolveEnv(pod, c, envSources{})
	if err != nil {
		t.Fatal(err)
	}
	type output struct {
		Name   string
		Fault  string `json:",omitempty"`
		Config any
		Host   any
	}
	box := renderSandbox(pod, "n1", "gantry/pause:1", "cluster.local", 0, e)
	cfg, err := renderContainer(containerInput{
		node: "n1", pod: pod, container: c, sandbox: "box", attempt: 2, backoff: maxBackoff, image: c.Image, imageUser: "www", env: env, engine: e, seccomp: "/none",
	})
	all := []output{{box.name, "", box.config, box.host}, {Name: cfg.name, Config: cfg.config, Host: cfg.host}}
	if err != nil {
		all[1].Fault = err.Error()
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
