package kubelet

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// debug adds an ephemeral container to a pod, as `kubectl debug` does.
func (r *testCluster) debug(pod, name, target string, args ...string) {
	r.Helper()
	_, err := r.api.Modify(r.Context(), core.Pod, "default", pod, func(current schema.Object) (schema.Object, error) {
		p := current.DeepCopyObject().(*corev1.Pod)
		p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: testImage, Args: args}, TargetContainerName: target,
		})
		return p, nil
	}, registry.WriteOptions{Subresource: "ephemeralcontainers"})
	if err != nil {
		r.Fatal(err)
	}
}

// untilDebugs waits until an ephemeral container's state is as wanted, and returns its status.
func (r *testCluster) untilDebugs(pod, name, what string, want func(corev1.ContainerState) bool) (s corev1.ContainerStatus) {
	r.Helper()
	r.until(pod, name+" "+what, func(p *corev1.Pod) bool {
		if p == nil || p.Status.ObservedGeneration != p.Generation {
			return false
		}
		for _, s = range p.Status.EphemeralContainerStatuses {
			if s.Name == name && want(s.State) {
				return true
			}
		}
		return false
	})
	return s
}

func isRunning(s corev1.ContainerState) bool    { return s.Running != nil }
func isTerminated(s corev1.ContainerState) bool { return s.Terminated != nil }

func TestEphemeralContainers(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "run")
	main := statuses(r.untilRunning("web"))[0]
	r.debug("web", "debugger", "main", "run")
	debugger := r.untilDebugs("web", "debugger", "runs", isRunning)
	if debugger.Ready || debugger.Started != nil || debugger.RestartCount != 0 {
		t.Errorf("status of the debugger: %+v", debugger)
	}
	in, err := r.docker.ContainerInspect(t.Context(), strings.TrimPrefix(debugger.ContainerID, "docker://"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(in.HostConfig.PidMode), "container:"+strings.TrimPrefix(main.ContainerID, "docker://"); got != want {
		t.Errorf("it sees the processes of %q, want those of %q", got, want)
	}
	r.untilEvent("web", "Started")

	// One that fails is not started again, and the pod stays ready; a later one starts all the same.
	r.debug("web", "fails", "", "exit", "3", "what it left")
	if s := r.untilDebugs("web", "fails", "ended", isTerminated); s.State.Terminated.ExitCode != 3 || s.State.Terminated.Message != "what it left" {
		t.Errorf("status of what failed: %+v", s.State.Terminated)
	}
	r.stop()
	r.start()
	r.debug("web", "later", "", "run")
	r.untilDebugs("web", "later", "runs", isRunning)
	if s := r.untilDebugs("web", "debugger", "runs", isRunning); s.ContainerID != debugger.ContainerID {
		t.Errorf("a restarted kubelet took %s for the debugger, want %s", s.ContainerID, debugger.ContainerID)
	}
	pod := r.until("web", "ready", isReady)
	if s := statuses(pod)[0]; pod.Status.Phase != corev1.PodRunning || s.ContainerID != main.ContainerID || len(pod.Status.EphemeralContainerStatuses) != 3 {
		t.Errorf("status of the pod: %+v", pod.Status)
	}
	if s := r.untilDebugs("web", "fails", "ended", isTerminated); s.RestartCount != 0 {
		t.Errorf("what failed was restarted %d times", s.RestartCount)
	}
}

// A pod whose own containers have ended ends, whoever debugs it.
func TestEphemeralContainersEndWithTheirPod(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("job", func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }, "run")
	id := strings.TrimPrefix(statuses(r.untilRunning("job"))[0].ContainerID, "docker://")
	r.debug("job", "debugger", "", "run")
	r.untilDebugs("job", "debugger", "runs", isRunning)
	if err := r.docker.ContainerKill(t.Context(), id, "TERM"); err != nil {
		t.Fatal(err)
	}
	r.untilEnded("job", corev1.PodSucceeded)
	r.untilDebugs("job", "debugger", "ended", isTerminated)
}
