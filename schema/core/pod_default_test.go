package core

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestDefaults compares testdata/<name>.in.yaml after Default with <name>.want.yaml, the kind in capital before the
// first dash: Pod-plain.in.yaml.
func TestDefaults(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			kind, _, _ := strings.Cut(name, "-")
			k := kindsByName()[kind]
			obj, want := k.New(), k.New()
			readYAML(t, file, obj)
			readYAML(t, strings.Replace(file, ".in.", ".want.", 1), want)
			k.Default(obj)
			if diff := cmp.Diff(toYAML(t, want), toYAML(t, obj)); diff != "" {
				t.Errorf("after Default (-want +got):\n%s", diff)
			}
			k.Default(obj)
			if diff := cmp.Diff(toYAML(t, want), toYAML(t, obj)); diff != "" {
				t.Errorf("after Default again (-want +got):\n%s", diff)
			}
		})
	}
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func toYAML(t *testing.T, v any) string {
	t.Helper()
	data, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPullPolicyOf(t *testing.T) {
	const digest = "@sha256:0123456789012345678901234567890123456789012345678901234567890123"
	for _, tt := range []struct {
		image string
		want  corev1.PullPolicy
	}{
		{"nginx", corev1.PullAlways},
		{"nginx:latest", corev1.PullAlways},
		{"nginx:1.27", corev1.PullIfNotPresent},
		{"localhost:5000/nginx", corev1.PullAlways},
		{"localhost:5000/nginx:1", corev1.PullIfNotPresent},
		{"nginx" + digest, corev1.PullIfNotPresent},
		{"nginx:latest" + digest, corev1.PullAlways},
		{"Not An Image", corev1.PullIfNotPresent},
		{"", corev1.PullIfNotPresent},
	} {
		if got := pullPolicyOf(tt.image); got != tt.want {
			t.Errorf("pullPolicyOf(%q) = %s, want %s", tt.image, got, tt.want)
		}
	}
}

// FuzzPlainTag: what is taken for a plain image has the tag that the reference's grammar finds.
func FuzzPlainTag(f *testing.F) {
	for _, image := range []string{
		"", "nginx", "nginx:1.27", "nginx:", ":1", "nginx:latest", "registry.k8s.io/pause:3.10", "a/b/c:V1", "a:_", "a:-", "a:B_.-", "a-b.c/d", "a--b", "a__b", "a_b",
		"-a", "a-", "a-/b", "a/-b", "a./b", "a//b", "/a", "a/", "a..b", ".a", "localhost/a", "localhost:5000/a", "a.b:5000/c:1", "Nginx", "a:1:2", "a@b", "a b", "a\n",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("0", 64), "a:" + strings.Repeat("b", 63), "a:" + strings.Repeat("b", 129),
	} {
		f.Add(image)
	}
	if tag, ok := plainTag("registry.k8s.io/pause:3.10"); !ok || tag != "3.10" {
		f.Errorf("the usual is not plain: %q %v", tag, ok)
	}
	f.Fuzz(func(t *testing.T, image string) {
		tag, ok := plainTag(image)
		if !ok {
			return
		}
		want := ""
		named, err := reference.ParseNormalizedNamed(image)
		if tagged, ok := named.(reference.Tagged); ok {
			want = tagged.Tag()
		}
		if _, pinned := named.(reference.Digested); err != nil || pinned || tag != want {
			t.Errorf("%q: tag %q, want %q, %v", image, tag, want, err)
		}
	})
}
