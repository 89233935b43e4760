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
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/probe"
	"gantry/registry"
	"gantry/schema/core"
)

// inspect reads the status of every dirty container from the engine. An engine that does not answer is an error; what was not
// read stays dirty.
func (w *worker) inspect(ctx context.Context) error {
	for id := range w.dirty {
		if err := w.inspectContainer(ctx, id); err != nil {
			return fmt.Errorf("inspecting container %s: %w", id, err)
		}
		delete(w.dirty, id)
	}
	w.makeOrphanPod()
	return w.readAddresses(ctx)
}

func (w *worker) inspectContainer(ctx context.Context, id string) error {
	cs, err := w.k.engine.Container(ctx, id)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	if err != nil || cs.Pod.UID != w.ref.UID {
		w.forget(id)
		return nil
	}
	old := w.statuses[id]
	w.statuses[id] = cs
	if cs.State != engine.StateRunning {
		w.k.prober.Forget(id)
	}
	if cs.Sandbox {
		w.released = w.released && cs.State != engine.StateRunning
		return nil
	}
	w.k.linkLogs(cs)
	if cs.State == engine.StateExited && (old == nil || old.State != engine.StateExited) {
		w.messages[id] = w.k.terminationMessage(ctx, cs)
	}
	if cs.State == engine.StateRunning {
		w.adoptResources(cs)
		delete(w.problems, cs.Container)
		w.nameImage(ctx, cs)
		w.probe(ctx, cs)
	}
	return nil
}

func (w *worker) forget(id string) {
	if cs := w.statuses[id]; cs != nil {
		unlinkLogs(w.k.cfg.LogDir, cs)
	}
	delete(w.statuses, id)
	delete(w.messages, id)
	delete(w.backOffRecorded, id)
	delete(w.actuated, id)
	delete(w.resizeRestarts, id)
	w.k.prober.Forget(id)
}

// nameImage reads how a pod's status names the container's image.
func (w *worker) nameImage(ctx context.Context, cs *engine.ContainerStatus) {
	if w.images[cs.ImageID] != "" {
		return
	}
	if i, err := w.k.engine.Image(ctx, cs.ImageID); err == nil {
		w.images[cs.ImageID] = i.StatusID()
	}
}

// probe begins the probes of a running container, with the results that the API has.
func (w *worker) probe(ctx context.Context, cs *engine.ContainerStatus) {
	if !w.known || w.gone || cs.Sandbox {
		return
	}
	m, ok := podstate.MemberNamed(w.pod, cs.Container)
	if !ok || m.Role == podstate.RoleInit || m.Role == podstate.RoleEphemeral {
		return
	}
	t := probe.Target{Pod: w.pod, Container: m.Container, ID: cs.ID, IP: first(w.addresses), StartedAt: cs.Started}
	if w.pod.Spec.HostNetwork {
		t.IP = first(w.k.cfg.NodeIPs)
	}
	if !t.IP.IsValid() {
		return // readAddresses calls it again
	}
	if s := podstate.StatusNamed(w.pod, cs.Container); s != nil && s.ContainerID == engine.URI(cs.ID) {
		t.WasReady, t.WasStarted = s.Ready, s.Started != nil && *s.Started
	}
	w.k.prober.Ensure(ctx, t)
}

// first returns the address that probes and hooks use; not valid without any.
func first(addrs []netip.Addr) netip.Addr {
	if len(addrs) == 0 {
		return netip.Addr{}
	}
	return addrs[0]
}

// readAddresses reads the sandbox's addresses from the kernel, once per sandbox.
func (w *worker) readAddresses(ctx context.Context) error {
	sandbox := engine.NewPodStatus(w.statuses).Sandbox()
	if sandbox == nil || sandbox.State != engine.StateRunning {
		w.addressSandbox, w.addresses = "", nil
		return nil
	}
	if sandbox.HostNetwork || w.addressSandbox == sandbox.ID || w.jobs[engine.SandboxName] != nil {
		return nil
	}
	addrs, err := w.k.network.Addresses(w.ref.UID, sandbox.PID)
	if errors.Is(err, podnet.ErrNoAddress) {
		return nil // the plan completes the sandbox
	}
	if err != nil {
		w.dirty[sandbox.ID] = true // it may have ended just now
		return fmt.Errorf("reading the sandbox's address: %w", err)
	}
	w.addressSandbox, w.addresses = sandbox.ID, addrs
	for _, cs := range w.statuses { // probes wait for the address
		if cs.State == engine.StateRunning {
			w.probe(ctx, cs)
		}
	}
	return nil
}

// makeOrphanPod makes a pod for containers whose pod the API does not have: enough to stop them with their grace.
func (w *worker) makeOrphanPod() {
	if w.known {
		return
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.ref.Namespace, Name: w.ref.Name, UID: types.UID(w.ref.UID)}}
	seen := map[string]bool{}
	for _, cs := range w.statuses {
		grace := cs.Grace
		pod.Spec.TerminationGracePeriodSeconds = &grace
		pod.Spec.HostNetwork = pod.Spec.HostNetwork || cs.HostNetwork
		if !cs.Sandbox && !seen[cs.Container] {
			seen[cs.Container] = true
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: cs.Container})
		}
	}
	w.pod = pod
}

// confirmGone reads whether the API still has the pod; only a consistent read counts. What the node reads in etcd are copies of its
// pods, which may be lost without their pod: where a copy is missing the gateway is asked. Forbidden is a pod of another node.
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
		w.log.Info("pod gone", "containers", len(w.statuses))
	}
	w.gone, w.confirm = true, false
}

// newer tells whether a is a later state of the pod than b, or b's revision cannot be read.
func newer(a, b *corev1.Pod) bool {
	x, err := strconv.ParseInt(a.ResourceVersion, 10, 64)
	y, err2 := strconv.ParseInt(b.ResourceVersion, 10, 64)
	return err != nil || err2 != nil || x > y
}
