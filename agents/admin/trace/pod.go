package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/admin/explain"
	"gantry/agents/admin/snapshot"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// podAddresses are a pod's valid addresses, the primary one first.
func podAddresses(p *corev1.Pod) (all []netip.Addr) {
	for _, ip := range append([]corev1.PodIP{{IP: p.Status.PodIP}}, p.Status.PodIPs...) {
		if a, err := netip.ParseAddr(ip.IP); err == nil && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// dashed tells whether host is an endpoint's address with dashes for its dots or colons, which is its name where it has no hostname.
func dashed(ep *discoveryv1.Endpoint, host string) bool {
	return (ep.Hostname == nil || *ep.Hostname == "") && len(ep.Addresses) > 0 && strings.NewReplacer(".", "-", ":", "-").Replace(ep.Addresses[0]) == host
}

// hasHost tells whether an endpoint of a Service has a name of its own.
func (t *tracer) hasHost(svc *snapshot.Entry, host string) bool {
	headless := svc.Object.(*corev1.Service).Spec.ClusterIP == corev1.ClusterIPNone
	for _, e := range t.slicesOf(svc) {
		s := e.Object.(*discoveryv1.EndpointSlice)
		for i := range s.Endpoints {
			if ep := &s.Endpoints[i]; ep.Hostname != nil && *ep.Hostname == host || headless && dashed(ep, host) {
				return true
			}
		}
	}
	return false
}

// endpoint follows an endpoint to its pod. It returns whether that answers, as far as is known.
func (t *tracer) endpoint(depth int, p endpoint, protocol string) (ok bool) {
	if p.pod == "" {
		text := "no pod: whoever made the slice says that it answers"
		for _, n := range t.All(core.Node, "") {
			if slices.Contains(nodeAddresses(n), p.addr.Addr()) {
				text = "a process of node " + n.Object.GetName()
			}
		}
		t.add(depth, true, p.slice, "%s is %s", p.addr, text)
		return true
	}
	e := t.Get(core.Pod, p.slice.Object.GetNamespace(), p.pod)
	if e == nil {
		t.add(depth, false, p.slice, "%s is %s by the slice, which does not exist: the controller endpointslice has not caught up", p.addr, p.name())
		return false
	}
	return t.pod(depth, e, p.addr.Addr(), p.addr.Port(), protocol)
}

// pod follows an address and port to a pod, its containers and what listens in them. It returns whether the pod answers there, as far as is
// known. Port 0: any.
func (t *tracer) pod(depth int, e *snapshot.Entry, a netip.Addr, port uint16, protocol string) (ok bool) {
	p := e.Object.(*corev1.Pod)
	at := a.String()
	if port != 0 {
		at = netip.AddrPortFrom(a, port).String()
	}
	ready := "ready for " + explain.Since(t.Now, pods.ReadySince(p))
	if !pods.IsReady(p) {
		ready = "not ready"
		if c := pods.Condition(p, corev1.PodReady); c != nil && !c.LastTransitionTime.IsZero() {
			ready += " for " + explain.Since(t.Now, c.LastTransitionTime.Time)
		}
	}
	if p.DeletionTimestamp != nil {
		ready += ", being deleted"
	}
	t.add(depth, pods.IsReady(p) && p.DeletionTimestamp == nil, e, "%s is %s on node %s, %s", at, explain.Title(e), p.Spec.NodeName, ready)
	if !slices.Contains(podAddresses(p), a) {
		t.add(depth+1, false, e, "the pod's address is %q: the controller endpointslice has not caught up", p.Status.PodIP)
		return false
	}
	if !pods.IsReady(p) {
		t.why(depth+1, e, nil)
	}
	if n := t.Get(core.Node, "", p.Spec.NodeName); n != nil && pods.IsReady(p) {
		t.nodeNotReady(depth+1, n)
	}
	if p.Spec.NodeName != t.node {
		t.elsewhere = append(t.elsewhere, p.Spec.NodeName)
	}
	pid, ran := 0, 0
	for i := range p.Status.ContainerStatuses {
		running, first := t.container(depth+1, e, &p.Status.ContainerStatuses[i])
		if running {
			ran++
		}
		if pid == 0 {
			pid = first
		}
	}
	switch {
	case ran == 0:
		return false
	case pid == 0 || port == 0:
		return true
	}
	return t.listener(depth+1, pid, netip.AddrPortFrom(a, port), protocol)
}

// nodeNotReady adds that a node is not ready: its kubelet does not say what its pods do.
func (t *tracer) nodeNotReady(depth int, e *snapshot.Entry) {
	for _, c := range e.Object.(*corev1.Node).Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			t.add(depth, false, e, "node %s has not been ready for %s: %s", e.Object.GetName(), explain.Since(t.Now, c.LastTransitionTime.Time), c.Reason)
		}
	}
}

// container adds a container of a pod with the engine's state of it, or, on another machine, with that of its status. It returns whether it
// runs, and its process; 0: not known.
func (t *tracer) container(depth int, e *snapshot.Entry, s *corev1.ContainerStatus) (running bool, pid int) {
	if _, id, _ := strings.Cut(s.ContainerID, "://"); id != "" && e.Object.(*corev1.Pod).Spec.NodeName == t.node && !t.engineSilent {
		return t.engineState(depth, e, s, id)
	}
	state := "waits"
	switch {
	case s.State.Running != nil:
		state = "has run for " + explain.Since(t.Now, s.State.Running.StartedAt.Time)
	case s.State.Terminated != nil:
		state = fmt.Sprintf("ended with exit code %d", s.State.Terminated.ExitCode)
	}
	t.add(depth, s.State.Running != nil, e, "container %s %s %s, by the pod's status", s.Name, shortID(s.ContainerID), state)
	return s.State.Running != nil, 0
}

func (t *tracer) engineState(depth int, e *snapshot.Entry, s *corev1.ContainerStatus, id string) (running bool, pid int) {
	title := fmt.Sprintf("container %s %s", s.Name, shortID(s.ContainerID))
	c, err := t.machine.Container(t.ctx, id)
	switch {
	case errors.Is(err, ErrAbsent):
		t.report.AddFrom(depth, false, fromEngine, "%s does not exist, though the pod's status has it: the kubelet of %s has not caught up", title, t.node)
		return false, 0
	case err != nil:
		t.engineSilent = true
		t.report.AddFrom(depth, false, fromEngine, "%s: the engine does not say: %v", title, err)
		return s.State.Running != nil, 0
	case c.Status == "running":
		t.report.AddFrom(depth, true, fromEngine, "%s is running, for %s, process %d", title, explain.Since(t.Now, c.Started), c.PID)
		return true, c.PID
	case c.Status == "paused": // the kubelet counts it as running
		t.report.AddFrom(depth, false, fromEngine, "%s is paused: none of its processes runs (docker unpause)", title)
		return false, 0
	case c.Finished.IsZero():
		t.report.AddFrom(depth, false, fromEngine, "%s is %s%s", title, c.Status, because(c.Error))
	default:
		t.report.AddFrom(depth, false, fromEngine, "%s is %s, exit code %d, %s ago%s", title, c.Status, c.ExitCode, explain.Since(t.Now, c.Finished), because(c.Error))
	}
	if s.State.Running != nil {
		t.add(depth+1, false, e, "the pod's status has it running: the kubelet of %s has not caught up", t.node)
	}
	return false, 0
}

func because(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}

// shortID is the part of a container's ID that docker ps shows.
func shortID(uri string) string {
	_, id, _ := strings.Cut(uri, "://")
	return id[:min(len(id), 12)]
}

// listener adds whether a socket in a pod takes connections to an address, and returns whether one may.
func (t *tracer) listener(depth, pid int, to netip.AddrPort, protocol string) bool {
	sockets, err := t.machine.Listeners(pid, protocol)
	if err != nil {
		if !errors.Is(err, ErrAbsent) { // the process has ended meanwhile
			t.note(depth, "the sockets of process %d cannot be read: %v", pid, err)
		}
		return true
	}
	from := fmt.Sprintf("/proc/%d/net/%s", pid, protocol)
	var loopback bool
	var ports []string
	for _, s := range sockets {
		switch a := s.Addr().Unmap(); {
		case s.Port() != to.Port():
			if text := fmt.Sprint(s.Port()); !slices.Contains(ports, text) && !a.IsLoopback() {
				ports = append(ports, text)
			}
		case a.IsUnspecified() || a == to.Addr():
			t.report.AddFrom(depth, true, from, "a socket in the pod listens on %s/%s", s, protocol)
			return true
		default:
			loopback = true
		}
	}
	text := fmt.Sprintf("no socket in the pod listens on port %d/%s", to.Port(), protocol)
	if loopback {
		text = fmt.Sprintf("sockets in the pod listen on port %d/%s of other addresses only, such as loopback", to.Port(), protocol)
	}
	if slices.Sort(ports); len(ports) > 0 {
		text += ", some on " + strings.Join(ports[:min(len(ports), maxShown)], ", ")
	}
	t.report.AddFrom(depth, false, from, "%s: connections are refused", text)
	return false
}
