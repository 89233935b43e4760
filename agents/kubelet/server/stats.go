package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// Stats reads what the node and its pods use: *stats.Collector.
type Stats interface {
	// Summary reads everything, or CPU and memory alone.
	Summary(little bool) (*statsv1.Summary, error)
}

// handleStats adds what is used: as Prometheus' text, and as JSON.
func (s *server) handleStats(mux *http.ServeMux) {
	failed := func(err error) {
		s.cfg.Log.Warn("reading the node's use of resources failed", "agent", "kubelet", "err", err)
	}
	for path, metrics := range map[string]prometheus.Collector{
		"/metrics/resource": resourceMetrics{s.cfg.Stats, failed}, "/metrics/cadvisor": cadvisorMetrics{s.cfg.Stats, s.cfg.Pods, failed},
	} {
		all := prometheus.NewRegistry()
		all.MustRegister(metrics)
		mux.Handle("GET "+path, promhttp.HandlerFor(all, promhttp.HandlerOpts{}))
	}
	for _, method := range []string{"GET ", "POST "} {
		mux.HandleFunc(method+"/stats/summary", s.summary)
	}
}

// ownMetrics are the process's metrics, and what the claims of pods use.
func (s *server) ownMetrics() http.Handler {
	claims := prometheus.NewRegistry()
	claims.MustRegister(claimMetrics{s.cfg.Stats})
	return promhttp.HandlerFor(prometheus.Gatherers{prometheus.DefaultGatherer, claims}, promhttp.HandlerOpts{})
}

// summary answers /stats/summary?only_cpu_and_memory=true, where the parameter may be absent.
func (s *server) summary(w http.ResponseWriter, r *http.Request) {
	all, err := s.cfg.Stats.Summary(r.FormValue("only_cpu_and_memory") == "true")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, all)
}

// resourceMetrics are the metrics of /metrics/resource, which metrics-server and autoscalers read. They are made anew at every scrape.
type resourceMetrics struct {
	stats  Stats
	failed func(error)
}

var (
	ofPod       = []string{"pod", "namespace"}
	ofContainer = []string{"container", "pod", "namespace"}

	nodeCPU        = prometheus.NewDesc("node_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the node in core-seconds", nil, nil)
	nodeMemory     = prometheus.NewDesc("node_memory_working_set_bytes", "[STABLE] Current working set of the node in bytes", nil, nil)
	containerStart = prometheus.NewDesc("container_start_time_seconds", "[STABLE] Start time of the container since unix epoch in seconds", ofContainer, nil)
	containerCPU   = prometheus.NewDesc("container_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the container in core-seconds", ofContainer, nil)
	containerMem   = prometheus.NewDesc("container_memory_working_set_bytes", "[STABLE] Current working set of the container in bytes", ofContainer, nil)
	podCPU         = prometheus.NewDesc("pod_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds", ofPod, nil)
	podMemory      = prometheus.NewDesc("pod_memory_working_set_bytes", "[STABLE] Current working set of the pod in bytes", ofPod, nil)
	scrapeError    = prometheus.NewDesc("resource_scrape_error", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise", nil, nil)
)

// Describe is prometheus.Collector's.
func (m resourceMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{nodeCPU, nodeMemory, containerStart, containerCPU, containerMem, podCPU, podMemory, scrapeError} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m resourceMetrics) Collect(ch chan<- prometheus.Metric) {
	s, err := m.stats.Summary(true)
	if err != nil {
		m.failed(err)
		send(ch, time.Time{}, scrapeError, prometheus.GaugeValue, 1)
		return
	}
	send(ch, time.Time{}, scrapeError, prometheus.GaugeValue, 0)
	sendUsage(ch, s.Node.CPU, nodeCPU, s.Node.Memory, nodeMemory)
	for _, p := range latest(s.Pods) {
		for _, c := range p.Containers {
			if !c.StartTime.IsZero() {
				send(ch, time.Time{}, containerStart, prometheus.GaugeValue, float64(c.StartTime.UnixNano())/float64(time.Second), c.Name, p.PodRef.Name, p.PodRef.Namespace)
			}
			sendUsage(ch, c.CPU, containerCPU, c.Memory, containerMem, c.Name, p.PodRef.Name, p.PodRef.Namespace)
		}
		sendUsage(ch, p.CPU, podCPU, p.Memory, podMemory, p.PodRef.Name, p.PodRef.Namespace)
	}
}

// latest are the pods without those of which one of the same name started later: metrics do not tell them apart.
func latest(pods []statsv1.PodStats) []statsv1.PodStats {
	type name struct{ namespace, name string }
	at := map[name]int{}
	var all []statsv1.PodStats
	for _, p := range pods {
		n := name{p.PodRef.Namespace, p.PodRef.Name}
		i, there := at[n]
		switch {
		case !there:
			at[n] = len(all)
			all = append(all, p)
		case all[i].StartTime.Before(&p.StartTime):
			all[i] = p
		}
	}
	return all
}

// sendUsage sends the CPU time and the working set of one thing, with the times they were read at.
func sendUsage(ch chan<- prometheus.Metric, cpu *statsv1.CPUStats, cpuDesc *prometheus.Desc, memory *statsv1.MemoryStats, memoryDesc *prometheus.Desc, labels ...string) {
	if cpu != nil && cpu.UsageCoreNanoSeconds != nil {
		send(ch, cpu.Time.Time, cpuDesc, prometheus.CounterValue, float64(*cpu.UsageCoreNanoSeconds)/float64(time.Second), labels...)
	}
	if memory != nil && memory.WorkingSetBytes != nil {
		send(ch, memory.Time.Time, memoryDesc, prometheus.GaugeValue, float64(*memory.WorkingSetBytes), labels...)
	}
}

// send sends a metric, with the time it was read at unless that is zero. One with a label that is no text is left out.
func send(ch chan<- prometheus.Metric, at time.Time, d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
	m, err := prometheus.NewConstMetric(d, kind, v, labels...)
	if err != nil {
		return
	}
	if !at.IsZero() {
		m = prometheus.NewMetricWithTimestamp(at, m)
	}
	ch <- m
}
