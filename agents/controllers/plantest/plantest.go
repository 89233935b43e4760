// Package plantest has what tests of plans share: golden files, and pods to plan for. It runs nothing; controllertest does.
package plantest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"gantry/agents/controllers/controller"
)

var updateGolden = flag.Bool("update", false, "rewrite the wanted part of testdata")

// Now is the time of every pure test.
var Now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// Golden runs f on every testdata/<dir>/*.txtar: text up to the first file is a comment, the files before "want" are its
// input, "want" is what f must return.
func Golden(t *testing.T, dir string, f func(t *testing.T, files map[string]string) string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in testdata/%s: %v", dir, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(data), "-- want --\n")
			got := f(t, archive(input))
			if *updateGolden {
				if err := os.WriteFile(path, []byte(input+"-- want --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// archive splits "-- name --" sections.
func archive(text string) map[string]string {
	files, name := map[string]string{}, ""
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(strings.TrimSpace(n), " --")
			continue
		}
		files[name] += line
	}
	return files
}

// Parse reads YAML documents as objects of type T.
func Parse[T any](t *testing.T, text string) (out []*T) {
	t.Helper()
	for doc := range strings.SplitSeq(text, "---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		obj := new(T)
		if err := yaml.UnmarshalStrict([]byte(doc), obj); err != nil {
			t.Fatalf("parsing %s: %v", doc, err)
		}
		out = append(out, obj)
	}
	return out
}

// PodOption changes a pod of MakePod.
type PodOption func(*corev1.Pod)

// MakePod is a running and ready pod on node n1.
func MakePod(name string, options ...PodOption) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": "web"},
			CreationTimestamp: metav1.NewTime(Now.Add(-time.Hour))},
		Spec:   corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "c", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.244.0." + fmt.Sprint(len(name)), PodIPs: nil},
	}
	SetReady(p, corev1.ConditionTrue, Now.Add(-time.Hour))
	for _, o := range options {
		o(p)
	}
	return p
}

func SetReady(p *corev1.Pod, status corev1.ConditionStatus, since time.Time) {
	controller.SetPodCondition(p, corev1.PodReady, status, "", "", since)
}

func NotReady(p *corev1.Pod) { SetReady(p, corev1.ConditionFalse, Now) }
func Deleting(p *corev1.Pod) { t := metav1.NewTime(Now); p.DeletionTimestamp = &t }
func Unscheduled(p *corev1.Pod) {
	p.Spec.NodeName = ""
	p.Status.Phase = corev1.PodPending
	NotReady(p)
}
func Phase(ph corev1.PodPhase) PodOption {
	return func(p *corev1.Pod) { p.Status.Phase = ph }
}
func Address(ip string) PodOption { return func(p *corev1.Pod) { p.Status.PodIP = ip } }
func OnNode(n string) PodOption   { return func(p *corev1.Pod) { p.Spec.NodeName = n } }

// Lines renders a plan, a line an action, with its event.
func Lines(plan []controller.Action) string {
	var b strings.Builder
	for _, a := range plan {
		fmt.Fprintln(&b, a)
		if a.Event != nil {
			fmt.Fprintf(&b, "  event %s: %s\n", a.Event.Reason, a.Event.Message)
		}
	}
	return b.String()
}
