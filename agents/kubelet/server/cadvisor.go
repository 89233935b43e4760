package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// cadvisorMetrics are those of /metrics/cadvisor that common dashboards and alerts are made of: CPU, memory and network, with cAdvisor's names and
// labels. Of a pod's network the labels container and image are "". The node's own have the id "/".
type cadvisorMetrics struct {
	stats  Stats
	pods   Pods
	failed func(error)
}

var (
	ofCgroup    = []string{"container", "id", "image", "name", "namespace", "pod"}
	ofInterface = append([]string{"interface"}, ofCgroup...)

	cadvisorCPU     = prometheus.NewDesc("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", append([]string{"cpu"}, ofCgroup...), nil)
	cadvisorUsage   = prometheus.NewDesc("container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed", ofCgroup, nil)
	cadvisorWorking = prometheus.NewDesc("container_memory_working_set_bytes", "Current working set in bytes.", ofCgroup, nil)
	cadvisorRSS     = prometheus.NewDesc("container_memory_rss", "Size of RSS in bytes.", ofCgroup, nil)
	cadvisorStart   = prometheus.NewDesc("container_start_time_seconds", "Start time of the container since unix epoch in seconds.", ofCgroup, nil)
	receivedBytes   = prometheus.NewDesc("container_network_receive_bytes_total", "Cumulative count of bytes received", ofInterface, nil)
	receiveErrors   = prometheus.NewDesc("container_network_receive_errors_total", "Cumulative count of errors encountered while receiving", ofInterface, nil)
	sentBytes       = prometheus.NewDesc("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", ofInterface, nil)
	sendErrors      = prometheus.NewDesc("container_network_transmit_errors_total", "Cumulative count of errors encountered while transmitting", ofInterface, nil)
	cadvisorScrape  = prometheus.NewDesc("container_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise", nil, nil)
)

// Describe is prometheus.Collector's.
func (m cadvisorMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{cadvisorCPU, cadvisorUsage, cadvisorWorking, cadvisorRSS, cadvisorStart, receivedBytes, receiveErrors, sentBytes, sendErrors, cadvisorScrape} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m cadvisorMetrics) Collect(ch chan<- prometheus.Metric) {
	s, err := m.stats.Summary(false)
	if err != nil {
		m.failed(err)
		send(ch, time.Time{}, cadvisorScrape, prometheus.GaugeValue, 1)
		return
	}
	send(ch, time.Time{}, cadvisorScrape, prometheus.GaugeValue, 0)
	sendCgroup(ch, s.Node.StartTime, s.Node.CPU, s.Node.Memory, "", "/", "", "", "", "")
	sendNetwork(ch, s.Node.Network, "", "/", "", "", "", "")
	known := m.containers()
	for _, p := range latest(s.Pods) {
		ref := p.PodRef
		for _, c := range p.Containers {
			status := known[containerKey{ref.UID, c.Name}]
			sendCgroup(ch, c.StartTime, c.CPU, c.Memory, c.Name, status.ContainerID, status.Image, status.ContainerID, ref.Namespace, ref.Name)
		}
		sendNetwork(ch, p.Network, "", "pod"+ref.UID, "", "", ref.Namespace, ref.Name)
	}
}

// containerKey names a container of the node.
type containerKey struct{ uid, container string }

// containers are the statuses of the node's containers.
func (m cadvisorMetrics) containers() map[containerKey]corev1.ContainerStatus {
	all := map[containerKey]corev1.ContainerStatus{}
	for _, p := range m.pods.List() {
		for _, statuses := range statusesOf(p) {
			for _, c := range statuses {
				all[containerKey{string(p.UID), c.Name}] = c
			}
		}
	}
	return all
}

// sendCgroup sends what a container or the node uses, with the values of ofCgroup.
func sendCgroup(ch chan<- prometheus.Metric, start metav1.Time, cpu *statsv1.CPUStats, memory *statsv1.MemoryStats, labels ...string) {
	if !start.IsZero() {
		send(ch, time.Time{}, cadvisorStart, prometheus.GaugeValue, float64(start.UnixNano())/float64(time.Second), labels...)
	}
	if cpu != nil && cpu.UsageCoreNanoSeconds != nil {
		send(ch, cpu.Time.Time, cadvisorCPU, prometheus.CounterValue, float64(*cpu.UsageCoreNanoSeconds)/float64(time.Second), append([]string{"total"}, labels...)...)
	}
	if memory == nil {
		return
	}
	for d, bytes := range map[*prometheus.Desc]*uint64{cadvisorUsage: memory.UsageBytes, cadvisorWorking: memory.WorkingSetBytes, cadvisorRSS: memory.RSSBytes} {
		if bytes != nil {
			send(ch, memory.Time.Time, d, prometheus.GaugeValue, float64(*bytes), labels...)
		}
	}
}

// sendNetwork sends the traffic of every interface, with the values of ofCgroup.
func sendNetwork(ch chan<- prometheus.Metric, n *statsv1.NetworkStats, labels ...string) {
	if n == nil {
		return
	}
	for _, i := range n.Interfaces {
		for d, count := range map[*prometheus.Desc]*uint64{receivedBytes: i.RxBytes, receiveErrors: i.RxErrors, sentBytes: i.TxBytes, sendErrors: i.TxErrors} {
			if count != nil {
				send(ch, n.Time.Time, d, prometheus.CounterValue, float64(*count), append([]string{i.Name}, labels...)...)
			}
		}
	}
}
