package server

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// fakeStats is a node that uses 100 s of CPU and 1 GB, with the pod web, an older pod of the same name, and a container whose name is no text.
type fakeStats struct{ fails atomic.Bool }

func (f *fakeStats) Summary(little bool) (*statsv1.Summary, error) {
	if f.fails.Load() {
		return nil, errors.New("no control groups")
	}
	at := metav1.NewTime(time.UnixMilli(1795780800123))
	used := func(seconds, bytes uint64) (*statsv1.CPUStats, *statsv1.MemoryStats) {
		seconds *= 1e9
		return &statsv1.CPUStats{Time: at, UsageCoreNanoSeconds: &seconds}, &statsv1.MemoryStats{Time: at, WorkingSetBytes: &bytes}
	}
	container := func(name string, seconds, bytes uint64) statsv1.ContainerStats {
		cpu, memory := used(seconds, bytes)
		return statsv1.ContainerStats{Name: name, StartTime: metav1.Unix(1795780000, 5e8), CPU: cpu, Memory: memory}
	}
	s := &statsv1.Summary{Node: statsv1.NodeStats{NodeName: "n1"}}
	s.Node.CPU, s.Node.Memory = used(100, 1e9)
	var network *statsv1.NetworkStats
	if !little {
		s.Node.Fs = &statsv1.FsStats{Time: at}
		received, errs := uint64(7000), uint64(1)
		network = &statsv1.NetworkStats{Time: at, Interfaces: []statsv1.InterfaceStats{{Name: "eth0", RxBytes: &received, TxErrors: &errs}}}
	}
	ref := statsv1.PodReference{Namespace: "default", Name: "web", UID: "u1"}
	old := statsv1.PodStats{PodRef: ref, StartTime: metav1.Unix(1795780000, 0), Containers: []statsv1.ContainerStats{container("web", 9, 9)}}
	web := statsv1.PodStats{PodRef: ref, StartTime: metav1.Unix(1795780001, 0), Containers: []statsv1.ContainerStats{
		container("web", 3, 5e6), container("\xff", 1, 1), {Name: "unknown"},
	}}
	web.CPU, web.Memory = used(4, 6e6)
	web.Network = network
	if !little {
		bytes := uint64(4096)
		claim := statsv1.VolumeStats{Name: "data", FsStats: statsv1.FsStats{UsedBytes: &bytes, Inodes: &bytes}, PVCRef: &statsv1.PVCReference{Namespace: "default", Name: "data"}}
		web.VolumeStats = []statsv1.VolumeStats{claim, {Name: "disk", FsStats: claim.FsStats}}
		old.VolumeStats = []statsv1.VolumeStats{claim}
	}
	s.Pods = []statsv1.PodStats{web, old}
	return s, nil
}

// samples are the lines of a page of metrics without comments.
func samples(body string) (lines []string) {
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestCadvisorMetrics(t *testing.T) {
	n := newNode(t, 0)
	code, body := n.get(n.as("gantry-gateway"), "/metrics/cadvisor")
	const (
		web  = `container="web",id="docker://1",image="web:1",name="docker://1",namespace="default",pod="web"`
		pod  = `container="",id="podu1",image="",interface="eth0",name="",namespace="default",pod="web"`
		node = `container="",id="/",image="",name="",namespace="",pod=""`
	)
	at := " 1795780800123"
	want := []string{
		`container_cpu_usage_seconds_total{container="",cpu="total",id="/",image="",name="",namespace="",pod=""} 100` + at,
		`container_cpu_usage_seconds_total{container="web",cpu="total",id="docker://1",image="web:1",name="docker://1",namespace="default",pod="web"} 3` + at,
		`container_memory_working_set_bytes{` + node + `} 1e+09` + at,
		`container_memory_working_set_bytes{` + web + `} 5e+06` + at,
		`container_network_receive_bytes_total{` + pod + `} 7000` + at,
		`container_network_transmit_errors_total{` + pod + `} 1` + at,
		`container_scrape_error 0`,
		`container_start_time_seconds{` + web + `} 1.7957800005e+09`,
	}
	if d := cmp.Diff(want, samples(body)); d != "" || code != 200 {
		t.Errorf("%d (-want +got):\n%s", code, d)
	}
	n.used.fails.Store(true)
	if _, body := n.get(n.as("gantry-gateway"), "/metrics/cadvisor"); !strings.Contains(body, "container_scrape_error 1\n") {
		t.Errorf("a node that cannot read: %s", body)
	}
}

func TestResourceMetrics(t *testing.T) {
	n := newNode(t, 0)
	code, body := n.get(n.as("gantry-gateway"), "/metrics/resource")
	got := samples(body)
	want := []string{
		`container_cpu_usage_seconds_total{container="web",namespace="default",pod="web"} 3 1795780800123`,
		`container_memory_working_set_bytes{container="web",namespace="default",pod="web"} 5e+06 1795780800123`,
		`container_start_time_seconds{container="web",namespace="default",pod="web"} 1.7957800005e+09`,
		`node_cpu_usage_seconds_total 100 1795780800123`,
		`node_memory_working_set_bytes 1e+09 1795780800123`,
		`pod_cpu_usage_seconds_total{namespace="default",pod="web"} 4 1795780800123`,
		`pod_memory_working_set_bytes{namespace="default",pod="web"} 6e+06 1795780800123`,
		`resource_scrape_error 0`,
	}
	if d := cmp.Diff(want, got); d != "" || code != 200 {
		t.Errorf("%d (-want +got):\n%s", code, d)
	}
	for _, line := range []string{"# TYPE container_cpu_usage_seconds_total counter", "# TYPE pod_memory_working_set_bytes gauge"} {
		if !strings.Contains(body, line) {
			t.Errorf("%q is missing", line)
		}
	}
	n.used.fails.Store(true)
	if _, body := n.get(n.as("gantry-gateway"), "/metrics/resource"); !strings.Contains(body, "resource_scrape_error 1\n") || strings.Contains(body, "node_cpu") {
		t.Errorf("a node that cannot read: %s", body)
	}
}

func TestSummary(t *testing.T) {
	n := newNode(t, 0)
	code, all := n.get(n.as("gantry-gateway"), "/stats/summary")
	if code != 200 || !strings.HasPrefix(all, `{"node":{"nodeName":"n1",`) || !strings.Contains(all, `"fs":{`) || !strings.Contains(all, `"podRef":{"name":"web","namespace":"default","uid":"u1"}`) {
		t.Errorf("%d %s", code, all)
	}
	if code, little := n.get(n.as("gantry-gateway"), "/stats/summary?only_cpu_and_memory=true"); code != 200 || strings.Contains(little, `"fs":`) || !strings.Contains(little, `"workingSetBytes":1000000000`) {
		t.Errorf("only CPU and memory: %d %s", code, little)
	}
	for _, path := range []string{"/stats/summary", "/metrics/resource"} {
		if code, _ := n.get(n.as("somebody"), path); code != 403 {
			t.Errorf("somebody's %s: %d", path, code)
		}
	}
	n.used.fails.Store(true)
	if code, body := n.get(n.as("gantry-gateway"), "/stats/summary"); code != 500 || body != "no control groups" {
		t.Errorf("a node that cannot read: %d %s", code, body)
	}
}

// TestClaimMetrics: a claim of two pods is told once, and a volume without a claim is not.
func TestClaimMetrics(t *testing.T) {
	n := newNode(t, 0)
	code, body := n.get(n.as("gantry-gateway"), "/metrics")
	var got []string
	for _, line := range samples(body) {
		if strings.HasPrefix(line, "kubelet_volume_stats_") {
			got = append(got, line)
		}
	}
	want := []string{
		`kubelet_volume_stats_inodes{namespace="default",persistentvolumeclaim="data"} 4096`,
		`kubelet_volume_stats_used_bytes{namespace="default",persistentvolumeclaim="data"} 4096`,
	}
	if d := cmp.Diff(want, got); d != "" || code != 200 || !strings.Contains(body, "go_goroutines") {
		t.Errorf("%d (-want +got):\n%s", code, d)
	}
}
