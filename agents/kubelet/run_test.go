package kubelet

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/kubelet/engine"
	"gantry/registry"
	"gantry/registry/store"
)

func eventsOfNode(node string) events.ListOptions {
	return events.ListOptions{Filters: filters.NewArgs(filters.Arg("type", "container"), filters.Arg("label", engine.LabelNode+"="+node))}
}

func TestPodRunsAndStops(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "run", "hello")
	pod := r.untilRunning("web")
	c := pod.Status.ContainerStatuses[0]
	if !strings.HasPrefix(c.ContainerID, "docker://") || !c.Ready || c.RestartCount != 0 || c.Started == nil || !*c.Started {
		t.Errorf("container status: %+v", c)
	}
	if !strings.HasPrefix(pod.Status.PodIP, "10.213.0.") || pod.Status.HostIP != "192.0.2.1" || pod.Status.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("pod status: %+v", pod.Status)
	}
	for _, reason := range []string{"Pulled", "Created", "Started"} {
		if e := r.untilEvent("web", reason); e.InvolvedObject.FieldPath != "spec.containers{main}" {
			t.Errorf("event %s is about %q", reason, e.InvolvedObject.FieldPath)
		}
	}
	r.untilLog(c.ContainerID, "up hello")
	r.delete("web", nil)
	r.until("web", "gone", isGone)
	r.untilNoContainers()
	r.untilEvent("web", "Killing")
}

func isGone(p *corev1.Pod) bool { return p == nil }

// statuses are those of a pod's containers; none of a pod that is gone.
func statuses(p *corev1.Pod) []corev1.ContainerStatus {
	if p == nil {
		return nil
	}
	return p.Status.ContainerStatuses
}

func hasPhase(phase corev1.PodPhase) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return p != nil && p.Status.Phase == phase }
}

// A pod's first process gets SIGTERM, and SIGKILL when it ignores that; a shorter grace of a second DELETE counts.
func TestDeletionHasGrace(t *testing.T) {
	r := newTestCluster(t).start()
	long := func(p *corev1.Pod) { grace := int64(600); p.Spec.TerminationGracePeriodSeconds = &grace }
	r.run("stubborn", long, "stubborn")
	r.untilLog(r.untilRunning("stubborn").Status.ContainerStatuses[0].ContainerID, "up")
	r.delete("stubborn", nil)
	r.untilEvent("stubborn", "Killing")
	begin, one := time.Now(), int64(1)
	r.delete("stubborn", &one)
	r.until("stubborn", "gone", isGone)
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the shorter grace was ignored: it took %s", took)
	}
	r.untilNoContainers()
}

func TestRestartOfTheKubeletAdopts(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "run")
	before := r.untilRunning("web")
	r.stop()
	r.start()
	r.run("after", nil, "run") // once it runs every pod has been inspected
	other := r.untilRunning("after")
	after := r.untilRunning("web")
	a, b := before.Status.ContainerStatuses[0], after.Status.ContainerStatuses[0]
	if a.ContainerID != b.ContainerID || b.RestartCount != 0 {
		t.Errorf("the container was replaced: %s, then %s", a.ContainerID, b.ContainerID)
	}
	if before.Status.PodIP != after.Status.PodIP || other.Status.PodIP == after.Status.PodIP {
		t.Errorf("addresses: %s before, %s after, %s of another", before.Status.PodIP, after.Status.PodIP, other.Status.PodIP)
	}
	if n := len(r.containers()); n != 4 {
		t.Errorf("%d containers, want 4: %v", n, names(r.containers()))
	}
}

func TestContainerThatEndsIsRestartedWithBackoff(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("crash", nil, "exit", "3", "because")
	pod := r.until("crash", "in CrashLoopBackOff", func(p *corev1.Pod) bool {
		c := statuses(p)
		return len(c) == 1 && c[0].State.Waiting != nil && c[0].State.Waiting.Reason == "CrashLoopBackOff"
	})
	c := pod.Status.ContainerStatuses[0]
	last := c.LastTerminationState.Terminated
	if last == nil || last.ExitCode != 3 || last.Reason != "Error" || last.Message != "because" || c.RestartCount != 1 {
		t.Errorf("container status: %+v", c)
	}
	want := "back-off 10s restarting failed container=main pod=crash_default(" + string(pod.UID) + ")"
	if c.State.Waiting.Message != want {
		t.Errorf("message %q, want %q", c.State.Waiting.Message, want)
	}
	if pod.Status.Phase != corev1.PodRunning {
		t.Errorf("phase %s, want Running", pod.Status.Phase)
	}
	r.untilEvent("crash", "BackOff")
	pod = r.until("crash", "restarted", func(p *corev1.Pod) bool { c := statuses(p); return len(c) == 1 && c[0].RestartCount == 2 })
	f := pod.Status.ContainerStatuses[0]
	if wait := finishOf(f).Sub(last.FinishedAt.Time); wait < 9*time.Second {
		t.Errorf("restarted after %s, want 10s", wait)
	}
}

func finishOf(c corev1.ContainerStatus) time.Time {
	switch {
	case c.State.Running != nil:
		return c.State.Running.StartedAt.Time
	case c.State.Terminated != nil:
		return c.State.Terminated.StartedAt.Time
	case c.LastTerminationState.Terminated != nil:
		return c.LastTerminationState.Terminated.StartedAt.Time
	}
	return time.Time{}
}

func TestPodThatEndsStaysEnded(t *testing.T) {
	r := newTestCluster(t).start()
	never := func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }
	r.run("good", never, "exit", "0")
	r.run("bad", never, "exit", "7")
	good := r.until("good", "Succeeded", hasPhase(corev1.PodSucceeded))
	bad := r.until("bad", "Failed", hasPhase(corev1.PodFailed))
	if s := good.Status.ContainerStatuses[0].State.Terminated; s == nil || s.Reason != "Completed" {
		t.Errorf("good: %+v", good.Status.ContainerStatuses[0])
	}
	if s := bad.Status.ContainerStatuses[0].State.Terminated; s == nil || s.ExitCode != 7 || s.Reason != "Error" {
		t.Errorf("bad: %+v", bad.Status.ContainerStatuses[0])
	}
	r.stop()
	r.start()
	r.run("after", nil, "run")
	r.untilRunning("after")
	for _, name := range []string{"good", "bad"} {
		p := r.until(name, "there", func(p *corev1.Pod) bool { return p != nil })
		if n := p.Status.ContainerStatuses[0].RestartCount; n != 0 {
			t.Errorf("%s was restarted %d times", name, n)
		}
	}
}

func TestOrphansAreRemoved(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "run")
	r.untilRunning("web")
	r.stop()
	none := int64(0)
	r.delete("web", &none) // while no kubelet runs
	r.until("web", "gone", isGone)
	if len(r.containers()) != 2 {
		t.Fatalf("containers: %v", names(r.containers()))
	}
	r.start()
	r.untilNoContainers()
}

// A pod whose key vanishes from etcd without a deletion is stopped like any other.
func TestPodForcedAwayIsStopped(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "run")
	r.untilRunning("web")
	none := int64(0)
	r.delete("web", &none)
	r.until("web", "gone", isGone)
	r.untilNoContainers()
}

// What a node watches are copies of its pods. One that is lost by itself says nothing of the pod.
func TestLostCopyStopsNothing(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "run")
	before := r.untilRunning("web")
	key := "/gantry/bynode/" + r.node + "/pods/default/web"
	put := r.take(key)
	r.run("later", nil, "run") // by when it runs the kubelet has seen the loss
	r.untilRunning("later")
	put()
	r.delete("later", nil)
	r.until("later", "gone", isGone)
	if diff := cmp.Diff(statuses(before), statuses(r.untilRunning("web"))); diff != "" {
		t.Errorf("the pod's containers (-before +after the loss):\n%s", diff)
	}
}

// A pod that is put back into etcd as it was, while what it left is being removed, runs again.
func TestPodThatComesBackRuns(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "stubborn")
	before := r.untilRunning("web")
	put := r.take("/registry/pods/default/web", "/gantry/bynode/"+r.node+"/pods/default/web")
	r.untilEvent("web", "Killing")
	put()
	r.until("web", "running in another container", func(p *corev1.Pod) bool {
		s := statuses(p)
		return len(s) == 1 && s[0].State.Running != nil && s[0].ContainerID != before.Status.ContainerStatuses[0].ContainerID
	})
}

// take deletes keys past the registry; the result puts their values back.
func (r *testCluster) take(keys ...string) (put func()) {
	r.Helper()
	txn := store.Txn{Deletes: keys}
	var back store.Txn
	for _, key := range keys {
		kv, _, err := r.store.Get(r.Context(), key, 0)
		if err != nil || kv == nil {
			r.Fatalf("%s: %v, %v", key, kv, err)
		}
		back.Puts = append(back.Puts, store.Put{Key: key, Value: kv.Value})
	}
	commit := func(txn store.Txn) {
		r.Helper()
		if _, err := r.store.Commit(r.Context(), txn); err != nil {
			r.Fatal(err)
		}
	}
	commit(txn)
	return func() { commit(back) }
}

func TestSandboxThatDiesIsMadeAnew(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "run")
	before := r.untilRunning("web")
	for _, c := range r.containers() {
		if c.Labels[engine.LabelDockerType] == "podsandbox" {
			if err := r.docker.ContainerKill(t.Context(), c.ID, "KILL"); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := r.until("web", "restarted in a new sandbox", func(p *corev1.Pod) bool {
		return isReady(p) && p.Status.ContainerStatuses[0].RestartCount == 1
	})
	if after.Status.PodIP == before.Status.PodIP {
		t.Errorf("the address %s was kept", after.Status.PodIP)
	}
	r.untilEvent("web", "SandboxChanged")
}

func TestInitContainersRunInOrderAndSidecarsStay(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	shared := []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}}
	r := newTestCluster(t).start()
	r.run("web", func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.Volumes = []corev1.Volume{{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		p.Spec.InitContainers = []corev1.Container{
			{Name: "first", Image: testImage, Args: []string{"touch", "/shared/first"}, VolumeMounts: shared},
			{Name: "side", Image: testImage, Args: []string{"run"}, RestartPolicy: &always},
			{Name: "second", Image: testImage, Args: []string{"stat", "/shared/first"}, VolumeMounts: shared},
		}
		p.Spec.Containers[0].VolumeMounts = shared
	}, "stat", "/shared/first")
	pod := r.untilEnded("web", corev1.PodSucceeded)
	for _, c := range pod.Status.InitContainerStatuses {
		if c.State.Terminated == nil || c.State.Terminated.ExitCode != 0 {
			t.Errorf("init container: %+v", c)
		}
	}
}

func TestEnvironmentAndFiles(t *testing.T) {
	r := newTestCluster(t)
	ctx := context.Background()
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "default", Name: name} }
	if _, err := registry.For[*corev1.ConfigMap](r.api).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta("settings"), Data: map[string]string{"COLOUR": "red"}}); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.run("web", func(p *corev1.Pod) {
		p.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.7", Hostnames: []string{"friend"}}}
		p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{Prefix: "MY_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
		p.Spec.Containers[0].Env = []corev1.EnvVar{
			{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
			{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			{Name: "BOTH", Value: "$(POD)-$(MY_COLOUR)-$(NONE)-$$(POD)"},
			{Name: "SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "hidden"}, Key: "k"}}},
		}
	}, "cat", "/etc/hosts", "/etc/hostname", "/var/run/secrets/kubernetes.io/serviceaccount/token")
	pod := r.until("web", "waiting for its secret", func(p *corev1.Pod) bool {
		c := statuses(p)
		return len(c) == 1 && c[0].State.Waiting != nil && c[0].State.Waiting.Reason == "CreateContainerConfigError"
	})
	if got, want := pod.Status.ContainerStatuses[0].State.Waiting.Message, `secret "hidden" not found`; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if _, err := registry.For[*corev1.Secret](r.api).Create(ctx, &corev1.Secret{ObjectMeta: meta("hidden"), Data: map[string][]byte{"k": []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	pod = r.untilRunning("web")
	text := r.untilLog(pod.Status.ContainerStatuses[0].ContainerID, "\nup\n")
	for _, want := range []string{
		"POD=web\n", "IP=" + pod.Status.PodIP + "\n", "BOTH=web-red-$(NONE)-$(POD)\n", "MY_COLOUR=red\n", "SECRET=v\n",
		"192.0.2.7\tfriend\n", pod.Status.PodIP + "\tweb\n", "== /etc/hostname <nil>\nweb\n", "a-token",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

func TestImageThatIsMissing(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("never", func(p *corev1.Pod) {
		p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = "gantry-none:1", corev1.PullNever
	}, "run")
	waiting := func(reason string) func(*corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			c := statuses(p)
			return len(c) == 1 && c[0].State.Waiting != nil && c[0].State.Waiting.Reason == reason
		}
	}
	pod := r.until("never", "ErrImageNeverPull", waiting("ErrImageNeverPull"))
	if got, want := pod.Status.ContainerStatuses[0].State.Waiting.Message, `Container image "gantry-none:1" is not present with pull policy of Never`; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	// Nothing listens on port 1: the engine is refused at once.
	r.run("pull", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "127.0.0.1:1/gantry-none:1" }, "run")
	r.until("pull", "ErrImagePull", waiting("ErrImagePull"))
	pod = r.until("pull", "ImagePullBackOff", waiting("ImagePullBackOff"))
	if m := pod.Status.ContainerStatuses[0].State.Waiting.Message; !strings.HasPrefix(m, `Back-off pulling image "127.0.0.1:1/gantry-none:1"`) {
		t.Errorf("message %q", m)
	}
	r.delete("pull", nil)
	r.until("pull", "gone", isGone)
}

func TestContainerThatCannotStart(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"/none"} })
	pod := r.until("web", "in back-off", func(p *corev1.Pod) bool {
		c := statuses(p)
		return len(c) == 1 && c[0].RestartCount > 0 && c[0].LastTerminationState.Terminated != nil
	})
	c := pod.Status.ContainerStatuses[0]
	if c.LastTerminationState.Terminated.Reason != "ContainerCannotRun" || !strings.Contains(c.LastTerminationState.Terminated.Message, "/none") {
		t.Errorf("container status: %+v", c)
	}
}

func TestForeignContainersAreLeftAlone(t *testing.T) {
	r := newTestCluster(t)
	made, err := r.docker.ContainerCreate(t.Context(), &container.Config{Image: testImage, Cmd: []string{"run"}, Labels: map[string]string{engine.LabelPodUID: "x", engine.LabelPodName: "x"}}, &container.HostConfig{NetworkMode: "none"}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.docker.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true})
	})
	r.start()
	r.run("web", nil, "run")
	r.untilRunning("web")
	if _, err := r.docker.ContainerInspect(t.Context(), made.ID); err != nil {
		t.Errorf("a container that is not the kubelet's: %v", err)
	}
}

// A pod of a node with both families has an address of each, usable at once although Docker disables IPv6 in a sandbox without its network.
func TestPodOfBothFamilies(t *testing.T) {
	r := newTestCluster(t)
	r.change = func(c *Config) {
		c.NodeIPs = append(c.NodeIPs, netip.MustParseAddr("2001:db8::1"))
	}
	r.node += "-both"
	if _, err := registry.For[*corev1.Node](r.api).Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: r.node}, Spec: corev1.NodeSpec{PodCIDR: testCIDR, PodCIDRs: []string{testCIDR, "fd00:10:213::/64"}},
	}); err != nil {
		t.Fatal(err)
	}
	r.start()
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = []corev1.EnvVar{field("IP", "status.podIP"), field("IPS", "status.podIPs"), field("HOST", "status.hostIP"), field("HOSTS", "status.hostIPs")}
	}, "cat", "/etc/hosts", "/proc/net/if_inet6", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "/proc/sys/net/ipv6/conf/eth0/accept_ra")
	pod := r.untilRunning("web")
	if len(pod.Status.PodIPs) != 2 || pod.Status.PodIPs[0].IP != pod.Status.PodIP || !strings.HasPrefix(pod.Status.PodIPs[1].IP, "fd00:10:213::") {
		t.Fatalf("addresses %s, %v", pod.Status.PodIP, pod.Status.PodIPs)
	}
	four, six := pod.Status.PodIP, pod.Status.PodIPs[1].IP
	r.wants("main", r.untilLog(pod.Status.ContainerStatuses[0].ContainerID, "\nup\n"),
		"IP="+four+"\n", "IPS="+four+","+six+"\n", "HOST=192.0.2.1\n", "HOSTS=192.0.2.1,2001:db8::1\n", four+"\tweb\n", six+"\tweb\n",
		"disable_ipv6 <nil>\n0\n", "accept_ra <nil>\n0\n", " 82     eth0\n") // IFA_F_PERMANENT, IFA_F_NODAD and not IFA_F_TENTATIVE
	if got := pod.Status.HostIPs; len(got) != 2 || got[1].IP != "2001:db8::1" {
		t.Errorf("hostIPs %v", got)
	}
	node, err := registry.For[*corev1.Node](r.api).Get(t.Context(), "", r.node)
	if err != nil {
		t.Fatal(err)
	}
	var internal []string
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			internal = append(internal, a.Address)
		}
	}
	if got := strings.Join(internal, " "); got != "192.0.2.1 2001:db8::1" {
		t.Errorf("the node's addresses are %q", got)
	}
	r.stop()
	r.start()
	if again := r.until("web", "known again", func(p *corev1.Pod) bool { return len(p.Status.PodIPs) == 2 }); again.Status.PodIPs[1].IP != six {
		t.Errorf("after a restart the addresses are %v", again.Status.PodIPs)
	}
}
