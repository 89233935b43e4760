package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podnet"
	"gantry/agents/kubelet/probe"
	"gantry/registry"
	"gantry/schema/core"
)

// look brings what is known of the containers up to date. An engine that does not answer is an error; what was not looked
// at stays dirty.
func (w *worker) look(ctx context.Context) error {
	for id := range w.dirty {
		if err := w.lookAt(ctx, id); err != nil {
			return fmt.Errorf("inspecting container %s: %w", id, err)
		}
		delete(w.dirty, id)
	}
	w.orphan()
	return w.lookAtAddress(ctx)
}

func (w *worker) lookAt(ctx context.Context, id string) error {
	f, err := w.k.engine.Container(ctx, id)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	if err != nil || f.Pod.UID != w.ref.UID {
		w.forget(id)
		return nil
	}
	old := w.found[id]
	w.found[id] = f
	if f.State != engine.StateRunning {
		w.k.prober.Forget(id)
	}
	if f.Sandbox {
		w.released = w.released && f.State != engine.StateRunning
		return nil
	}
	w.k.linkLogs(f)
	if f.State == engine.StateExited && (old == nil || old.State != engine.StateExited) {
		w.messages[id] = w.k.terminationMessage(ctx, f)
	}
	if f.State == engine.StateRunning {
		w.adoptResources(f)
		delete(w.problems, f.Container)
		w.nameImage(ctx, f)
		w.probe(ctx, f)
	}
	return nil
}

func (w *worker) forget(id string) {
	if f := w.found[id]; f != nil {
		unlinkLogs(w.k.cfg.LogDir, f)
	}
	delete(w.found, id)
	delete(w.messages, id)
	delete(w.told, id)
	delete(w.given, id)
	delete(w.again, id)
	w.k.prober.Forget(id)
}

// nameImage learns how a status names the container's image.
func (w *worker) nameImage(ctx context.Context, f *engine.ContainerStatus) {
	if w.images[f.ImageID] != "" {
		return
	}
	if i, err := w.k.engine.Image(ctx, f.ImageID); err == nil {
		w.images[f.ImageID] = i.StatusID()
	}
}

// probe begins the probes of a running container, going on where the API says they were.
func (w *worker) probe(ctx context.Context, f *engine.ContainerStatus) {
	if !w.known || w.gone || f.Sandbox {
		return
	}
	m, ok := memberNamed(w.pod, f.Container)
	if !ok || m.role == roleInit {
		return
	}
	t := probe.Target{Pod: w.pod, Container: m.Container, ID: f.ID, IP: w.address, StartedAt: f.Started}
	if w.pod.Spec.HostNetwork {
		t.IP = w.k.cfg.NodeIP
	}
	if !t.IP.IsValid() {
		return // lookAtAddress comes back to it
	}
	if s := statusNamed(w.pod, f.Container); s != nil && s.ContainerID == engine.URI(f.ID) {
		t.WasReady, t.WasStarted = s.Ready, s.Started != nil && *s.Started
	}
	w.k.prober.Ensure(ctx, t)
}

// lookAtAddress reads the sandbox's address back from the kernel, once per sandbox.
func (w *worker) lookAtAddress(ctx context.Context) error {
	box := engine.NewPodStatus(w.found).Sandbox()
	if box == nil || box.State != engine.StateRunning {
		w.boxID, w.address = "", netip.Addr{}
		return nil
	}
	if box.HostNetwork || w.boxID == box.ID || w.jobs[engine.SandboxName] != nil {
		return nil
	}
	a, err := w.k.network.Address(box.PID)
	if errors.Is(err, podnet.ErrNoAddress) {
		return nil // the plan completes it
	}
	if err != nil {
		w.dirty[box.ID] = true // it may have ended just now
		return fmt.Errorf("reading the sandbox's address: %w", err)
	}
	w.boxID, w.address = box.ID, a
	for _, f := range w.found { // probes wait for the address
		if f.State == engine.StateRunning {
			w.probe(ctx, f)
		}
	}
	return nil
}

// orphan makes up a pod for containers whose pod is not known: enough to stop them with their grace.
func (w *worker) orphan() {
	if w.known {
		return
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.ref.Namespace, Name: w.ref.Name, UID: types.UID(w.ref.UID)}}
	seen := map[string]bool{}
	for _, f := range w.found {
		grace := f.Grace
		pod.Spec.TerminationGracePeriodSeconds = &grace
		pod.Spec.HostNetwork = pod.Spec.HostNetwork || f.HostNetwork
		if !f.Sandbox && !seen[f.Container] {
			seen[f.Container] = true
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: f.Container})
		}
	}
	w.pod = pod
}

// confirmGone asks whether the pod is still there; only a consistent read may say that it is not. What the node reads are
// copies of its pods, which may be lost by themselves: that a copy is missing says nothing, a gateway is asked then. Forbidden
// is a pod that is another node's.
func (w *worker) confirmGone(ctx context.Context) (apply func(), err error) {
	it, err := w.k.cfg.Registry.Get(ctx, core.Pod, w.ref.Namespace, w.ref.Name, "")
	if errors.Is(err, registry.NotFound) {
		it, err = w.k.cfg.Gateway.Get(ctx, core.Pod, w.ref.Namespace, w.ref.Name, "")
	}
	switch {
	case errors.Is(err, registry.NotFound), errors.Is(err, registry.Forbidden):
		return w.setGone, nil
	case err != nil:
		return nil, fmt.Errorf("asking whether the pod is still there: %w", err)
	}
	pod := it.Object().(*corev1.Pod)
	if string(pod.UID) != w.ref.UID || pod.Spec.NodeName != w.k.cfg.NodeName {
		return w.setGone, nil
	}
	return func() { w.adopt(pod); w.confirm = false }, nil
}

func (w *worker) setGone() {
	if !w.gone {
		w.log.Info("pod gone", "containers", len(w.found))
	}
	w.gone, w.confirm = true, false
}

// newer tells whether a is a later state of the pod than b, or b's revision cannot be read.
func newer(a, b *corev1.Pod) bool {
	x, err := strconv.ParseInt(a.ResourceVersion, 10, 64)
	y, err2 := strconv.ParseInt(b.ResourceVersion, 10, 64)
	return err != nil || err2 != nil || x > y
}
