package kubelet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/mounts"
	"gantry/agents/kubelet/volumes"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
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
		if got, err := mounts.MessageMount(c, 0, filepath.Join(dir, "pods", "uid")); err == nil {
			t.Errorf("the message of container %q is at %v", name, got)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("made: %v", left)
	}
}

// What stands in etcd may have been put there by anyone: names that lead out of the kubelet's directories lead nowhere.
func TestHostileCopiesMakeNothing(t *testing.T) {
	r := newTestCluster(t).start()
	web := r.run("web", nil, "run")
	r.untilRunning("web")
	outside := filepath.Join(filepath.Dir(r.dataDir), "outside")
	up := "../../../../../../../../../../../.." + outside
	emptyDir := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	for name, change := range map[string]func(*corev1.Pod){
		"uid":       func(p *corev1.Pod) { p.UID = types.UID(up) },
		"dots":      func(p *corev1.Pod) { p.UID = ".." },
		"volume":    func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: up, VolumeSource: emptyDir}} },
		"container": func(p *corev1.Pod) { p.Spec.Containers[0].Name = up },
	} {
		pod := web.DeepCopy()
		pod.Name, pod.UID, pod.Status = name, types.UID(fmt.Sprintf("%08x-0000-4000-8000-000000000000", len(name))), corev1.PodStatus{}
		change(pod)
		core.Pod.SetTypeMeta(pod)
		text, err := schema.Encode(pod)
		if err != nil {
			t.Fatal(err)
		}
		var puts []store.Put
		for _, key := range []string{"/registry/pods/default/" + name, "/gantry/bynode/" + r.node + "/pods/default/" + name} {
			puts = append(puts, store.Put{Key: key, Value: text})
		}
		if _, err := r.store.Commit(t.Context(), store.Txn{Puts: puts}); err != nil {
			t.Fatal(err)
		}
	}
	r.untilEvent("volume", "InvalidPodSpec")
	r.untilEvent("container", "InvalidPodSpec")
	for _, c := range r.containers() {
		if name := c.Labels[engine.LabelPodName]; name != "web" {
			t.Errorf("the pod %s has the container %s", name, c.Names)
		}
	}
	if exists(outside) {
		t.Errorf("%s was made", outside)
	}
	r.stop()
	if dirs, err := os.ReadDir(filepath.Join(r.dataDir, "pods")); err != nil || len(dirs) != 1 || dirs[0].Name() != string(web.UID) {
		t.Errorf("directories of pods: %v, %v", dirs, err)
	}
}
