package controllers

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
)

var updateGolden = flag.Bool("update", false, "rewrite the wanted part of testdata")

// now is the time of every pure test.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// golden runs f on every testdata/<dir>/*.txtar: text up to the first file is a comment, the files before "want" are its
// input, "want" is what f must return.
func golden(t *testing.T, dir string, f func(t *testing.T, files map[string]string) string) {
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

// parse reads YAML documents as objects of type T.
func parse[T any](t *testing.T, text string) (out []*T) {
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

// podOption changes a pod of makePod.
type podOption func(*corev1.Pod)

// makePod is a running and ready pod on node n1.
func makePod(name string, options ...podOption) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": "web"},
			CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))},
		Spec:   corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "c", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.244.0." + fmt.Sprint(len(name)), PodIPs: nil},
	}
	setReady(p, corev1.ConditionTrue, now.Add(-time.Hour))
	for _, o := range options {
		o(p)
	}
	return p
}

func setReady(p *corev1.Pod, status corev1.ConditionStatus, since time.Time) {
	setPodCondition(p, corev1.PodReady, status, "", "", since)
}

func notReady(p *corev1.Pod) { setReady(p, corev1.ConditionFalse, now) }
func deleting(p *corev1.Pod) { t := metav1.NewTime(now); p.DeletionTimestamp = &t }
func unscheduled(p *corev1.Pod) {
	p.Spec.NodeName = ""
	p.Status.Phase = corev1.PodPending
	notReady(p)
}
func phase(ph corev1.PodPhase) podOption {
	return func(p *corev1.Pod) { p.Status.Phase = ph }
}
func address(ip string) podOption { return func(p *corev1.Pod) { p.Status.PodIP = ip } }
func onNode(n string) podOption   { return func(p *corev1.Pod) { p.Spec.NodeName = n } }

// lines renders a plan, a line an action, with its event.
func lines(plan []action) string {
	var b strings.Builder
	for _, a := range plan {
		fmt.Fprintln(&b, a)
		if a.event != nil {
			fmt.Fprintf(&b, "  event %s: %s\n", a.event.reason, a.event.message)
		}
	}
	return b.String()
}
