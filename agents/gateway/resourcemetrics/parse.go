package resourcemetrics

import (
	"bytes"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/internal/usagerate"
)

// sample is what a kubelet says at one time.
type sample struct {
	node usage
	pods map[types.NamespacedName]map[string]*usage // by the container's name
}

// usage is what a node or a container uses.
type usage struct {
	start  time.Time       // zero: not known, or a node's
	cpu    usagerate.Point // nanoseconds; the zero time: not known
	memory *int64          // working set in bytes; nil: not known
}

// The names of a kubelet's metrics that are read.
const (
	nodeCPU         = "node_cpu_usage_seconds_total"
	nodeMemory      = "node_memory_working_set_bytes"
	containerStart  = "container_start_time_seconds"
	containerCPU    = "container_cpu_usage_seconds_total"
	containerMemory = "container_memory_working_set_bytes"
)

// parse reads the text of /metrics/resource; at is the time of values without one.
func parse(text []byte, at time.Time) (sample, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return sample{}, fmt.Errorf("reading metrics: %w", err)
	}
	s := sample{pods: map[types.NamespacedName]map[string]*usage{}}
	for _, m := range families[nodeCPU].GetMetric() {
		s.node.setCPU(m, at)
	}
	for _, m := range families[nodeMemory].GetMetric() {
		s.node.setMemory(m)
	}
	for _, m := range families[containerStart].GetMetric() {
		if seconds, ok := valueOf(m, mostSeconds); ok {
			s.container(m).start = time.UnixMicro(int64(seconds * 1e6))
		}
	}
	for _, m := range families[containerCPU].GetMetric() {
		s.container(m).setCPU(m, at)
	}
	for _, m := range families[containerMemory].GetMetric() {
		s.container(m).setMemory(m)
	}
	return s, nil
}

// container is the usage of the container that a metric is about.
func (s sample) container(m *dto.Metric) *usage {
	var pod types.NamespacedName
	var name string
	for _, l := range m.GetLabel() {
		switch l.GetName() {
		case "namespace":
			pod.Namespace = l.GetValue()
		case "pod":
			pod.Name = l.GetValue()
		case "container":
			name = l.GetValue()
		}
	}
	if s.pods[pod] == nil {
		s.pods[pod] = map[string]*usage{}
	}
	u := s.pods[pod][name]
	if u == nil {
		u = &usage{}
		s.pods[pod][name] = u
	}
	return u
}

func (u *usage) setCPU(m *dto.Metric, at time.Time) {
	if m.TimestampMs != nil {
		at = time.UnixMilli(m.GetTimestampMs())
	}
	if seconds, ok := valueOf(m, mostSeconds); ok {
		u.cpu = usagerate.Point{At: at, Value: uint64(seconds * float64(time.Second))}
	}
}

func (u *usage) setMemory(m *dto.Metric) {
	if bytes, ok := valueOf(m, mostBytes); ok {
		n := int64(bytes)
		u.memory = &n
	}
}

// The largest values that are taken: of times in seconds, for nanoseconds have to fit into 64 bits, and of memory in bytes.
const (
	mostSeconds = 1e10
	mostBytes   = 1 << 53
)

// valueOf is the number of a metric; ok is false for one that no kubelet can mean.
func valueOf(m *dto.Metric, most float64) (v float64, ok bool) {
	switch {
	case m.Counter != nil:
		v = m.Counter.GetValue()
	case m.Gauge != nil:
		v = m.Gauge.GetValue()
	default:
		v = m.Untyped.GetValue()
	}
	return v, v >= 0 && v <= most // NaN is neither
}
