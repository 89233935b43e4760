package kubelet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/volumes"
)

func TestTerminationMessageIsReadFromThePodsDirectoriesOnly(t *testing.T) {
	dir := t.TempDir()
	pods, outside := filepath.Join(dir, "pods"), filepath.Join(dir, "outside")
	k := &kubelet{volumes: volumes.New(volumes.Config{Dir: pods})}
	own := pods + "/uid/containers/c/0"
	for _, f := range []string{own, outside} {
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(strings.Repeat("m", maxMessage+1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range [][2]string{{outside, pods + "/uid/link"}, {dir, pods + "/uid/up"}} {
		if err := os.Symlink(link[0], link[1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.readMessage(own); len(got) != maxMessage {
		t.Errorf("%d bytes were read, want %d", len(got), maxMessage)
	}
	for _, f := range []string{"", outside, "/etc/passwd", pods + "/uid/link", pods + "/uid/up/outside", pods + "/../outside", pods + "/uid", pods + "/none"} {
		if got := k.readMessage(f); got != "" {
			t.Errorf("%s was read", f)
		}
	}
}

func TestHostileNamesMakeNoFiles(t *testing.T) {
	dir := t.TempDir()
	k := &kubelet{cfg: Config{DataDir: dir}}
	for _, name := range []string{"", ".", "..", "../../x", "a/b", "/x"} {
		if got, err := k.podDir(name); err == nil {
			t.Errorf("the directory of pod %q is %s", name, got)
		}
		c := &corev1.Container{Name: name, TerminationMessagePath: "/dev/termination-log"}
		if got, err := messageMount(c, 0, filepath.Join(dir, "pods", "uid")); err == nil {
			t.Errorf("the message of container %q is at %v", name, got)
		}
		for _, label := range []string{labelPodNamespace, labelPodName, labelPodUID, labelContainerName} {
			labels := map[string]string{labelNode: "n", labelRestartCount: "0", labelPodNamespace: "ns", labelPodName: "p", labelPodUID: "uid", labelContainerName: "c"}
			labels[label] = name
			in := container.InspectResponse{
				ContainerJSONBase: &container.ContainerJSONBase{State: &container.State{}, HostConfig: &container.HostConfig{}},
				Config:            &container.Config{Labels: labels},
			}
			if _, ok := parseFound(in, "n"); ok {
				t.Errorf("a container whose %s is %q counts as ours", label, name)
			}
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("made: %v", left)
	}
}
