package kubelet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"gantry/agents/internal/daemon"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/podstatus"
	"gantry/agents/kubelet/server"
	"gantry/agents/kubelet/stats"
	"gantry/registry"
	schemavolumes "gantry/schema/volumes"
)

// serve answers on the node's port: logs, exec, attach, port-forward. Without a certificate nothing is served.
func (k *kubelet) serve(ctx context.Context) error {
	if k.cfg.ServingCert == nil {
		<-ctx.Done()
		return nil
	}
	h, err := server.New(server.Config{
		Pods: (*podIndex)(k), Engine: k.engine, Stats: k.stats(), Reviews: k.cfg.Gateway, Node: k.cfg.NodeName, Health: k.cfg.Health, LogDir: k.cfg.logDir(), Settings: k.cfg.settings(), Log: k.log,
	})
	if err != nil {
		return fmt.Errorf("making the node's server: %w", err)
	}
	l, err := net.Listen("tcp", k.cfg.Address.String())
	if err != nil {
		return fmt.Errorf("opening the node's port: %w", err)
	}
	// Sessions are waited for: each ends with ctx, and what it ran in a container with it.
	var running sync.WaitGroup
	defer running.Wait()
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			h.ServeHTTP(w, r)
		}),
		BaseContext: func(net.Listener) context.Context { return ctx }, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{*k.cfg.ServingCert}, ClientCAs: k.cfg.ClientCAs,
			ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS12,
		},
	}
	return daemon.ServeHTTP(ctx, s, l)
}

// logDir is LogDir, or "" where there is none.
func (c *Config) logDir() string {
	if c.LogDir == noLinks {
		return ""
	}
	return c.LogDir
}

func (c *Config) settings() server.Settings {
	s := server.Settings{
		Address: c.Address.Addr().String(), Port: c.Address.Port(), MaxPods: c.MaxPods, ClusterDomain: c.ClusterDomain, AllowedUnsafeSysctls: c.AllowedUnsafeSysctls,
	}
	for _, a := range c.ClusterDNS {
		s.ClusterDNS = append(s.ClusterDNS, a.String())
	}
	if dir := c.logDir(); dir != "" {
		s.PodLogsDir = filepath.Join(dir, "pods")
	}
	return s
}

// podIndex answers the server's questions from what the workers last saw.
type podIndex kubelet

// find is the snapshot of a pod; uid "" takes the one of that name that is not gone.
func (p *podIndex) find(namespace, name, uid string) (*snapshot, error) {
	var last *snapshot
	for _, w := range (*kubelet)(p).allWorkers() {
		s := w.snapshot.Load()
		if s == nil || w.ref.Namespace != namespace || w.ref.Name != name || uid != "" && w.ref.UID != uid {
			continue
		}
		if last == nil || last.gone {
			last = s
		}
	}
	if last == nil {
		return nil, &registry.Error{Kind: registry.NotFound, Resource: "pods", KindName: "Pod", Name: name, Reason: fmt.Sprintf("pod %q not found on this node", namespace+"/"+name)}
	}
	return last, nil
}

// Container is server.Pods' Container.
func (p *podIndex) Container(namespace, pod, uid, container string, previous bool) (string, error) {
	s, err := p.find(namespace, pod, uid)
	if err != nil {
		return "", err
	}
	if _, ok := podstate.MemberNamed(s.pod, container); !ok {
		return "", &registry.Error{Kind: registry.BadRequest, Resource: "pods", Name: pod, Reason: fmt.Sprintf("container %s is not valid for pod %s", container, pod)}
	}
	list := s.Containers[container]
	if previous {
		for i, cs := range list {
			// A container that ended and waits to be started again is the previous one of its next attempt.
			waits := i == 0 && waitsAgain(s.status, container)
			if cs.State == engine.StateExited && (i > 0 || waits) {
				return cs.ID, nil
			}
		}
		return "", badContainer(pod, fmt.Sprintf("previous terminated container %q in pod %q not found", container, pod))
	}
	if len(list) > 0 && list[0].State != engine.StateCreated {
		return list[0].ID, nil
	}
	if len(list) > 1 {
		return list[1].ID, nil
	}
	reason := podstatus.WaitCreating
	if c := namedIn(s.status, container); c != nil && c.State.Waiting != nil {
		reason = c.State.Waiting.Reason
	}
	switch reason { // the status has the engine's own words
	case podstatus.WaitImagePull:
		reason = "image can't be pulled"
	case podstatus.WaitImageBackOff:
		reason = "trying and failing to pull image"
	}
	return "", badContainer(pod, fmt.Sprintf("container %q in pod %q is waiting to start: %s", container, pod, reason))
}

func badContainer(pod, reason string) error {
	return &registry.Error{Kind: registry.BadRequest, Resource: "pods", Name: pod, Reason: reason}
}

func waitsAgain(s corev1.PodStatus, container string) bool {
	c := namedIn(s, container)
	return c != nil && c.State.Waiting != nil && c.LastTerminationState.Terminated != nil
}

func namedIn(s corev1.PodStatus, container string) *corev1.ContainerStatus {
	return podstate.StatusNamed(&corev1.Pod{Status: s}, container)
}

// SandboxPID is server.Pods' SandboxPID.
func (p *podIndex) SandboxPID(namespace, pod, uid string) (int, error) {
	s, err := p.find(namespace, pod, uid)
	if err != nil {
		return 0, err
	}
	if sandbox := s.Sandbox(); sandbox != nil && sandbox.State == engine.StateRunning {
		return sandbox.PID, nil
	}
	return 0, badContainer(pod, fmt.Sprintf("pod %q has no running sandbox", pod))
}

// List is server.Pods' List: the pods with the status the kubelet gives them now.
func (p *podIndex) List() []*corev1.Pod {
	var all []*corev1.Pod
	for _, w := range (*kubelet)(p).allWorkers() {
		if s := w.snapshot.Load(); s != nil && !s.gone {
			pod := s.pod.DeepCopy()
			pod.Status = s.status
			all = append(all, pod)
		}
	}
	return all
}

// stats reads what the node and its pods use.
func (k *kubelet) stats() *stats.Collector {
	return stats.New(stats.Config{Node: k.cfg.NodeName, Pods: (*podIndex)(k).running, Volumes: k.volumeStats, DataDir: k.cfg.DataDir})
}

// volumeStats are what the mounted volumes of a pod use, by name. A volume that cannot be read is left out.
func (k *kubelet) volumeStats(podUID string) (all []statsv1.VolumeStats) {
	k.mu.Lock()
	w := k.workers[podUID]
	k.mu.Unlock()
	if w == nil {
		return nil
	}
	s := w.snapshot.Load()
	if s == nil {
		return nil
	}
	used, err := k.volumes.Metrics(podUID)
	if err != nil {
		w.log.Debug("some volumes not measured", "err", err)
	}
	now := metav1.Now()
	for i := range s.pod.Spec.Volumes {
		vol := &s.pod.Spec.Volumes[i]
		m, ok := used[vol.Name]
		if !ok {
			continue
		}
		v := statsv1.VolumeStats{Name: vol.Name, FsStats: statsv1.FsStats{
			Time: now, CapacityBytes: amount(m.Capacity), UsedBytes: amount(m.Used), AvailableBytes: amount(m.Available),
			Inodes: amount(m.Inodes), InodesUsed: amount(m.InodesUsed), InodesFree: amount(m.InodesFree),
		}}
		if claim, _ := schemavolumes.ClaimName(s.pod, vol); claim != "" {
			v.PVCRef = &statsv1.PVCReference{Namespace: s.pod.Namespace, Name: claim}
		}
		all = append(all, v)
	}
	return all
}

func amount(n int64) *uint64 {
	u := uint64(max(n, 0))
	return &u
}

// running are the pods with containers that run, with their processes.
func (p *podIndex) running() []stats.Pod {
	var all []stats.Pod
	for _, w := range (*kubelet)(p).allWorkers() {
		s := w.snapshot.Load()
		if s == nil || s.gone {
			continue
		}
		one := stats.Pod{Namespace: w.ref.Namespace, Name: w.ref.Name, UID: w.ref.UID}
		if start := s.status.StartTime; start != nil {
			one.Start = start.Time
		}
		if sandbox := s.Sandbox(); sandbox != nil && !sandbox.HostNetwork {
			one.NetworkPID = sandbox.PID
		}
		for name := range s.Containers {
			if c := s.Latest(name); c != nil && c.State == engine.StateRunning {
				one.Containers = append(one.Containers, stats.Container{Name: name, ID: c.ID, PID: c.PID, Start: c.Started})
			}
		}
		if len(one.Containers) > 0 {
			all = append(all, one)
		}
	}
	return all
}
