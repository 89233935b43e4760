package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// claimMetrics are what the volumes of claims use that pods of the node have mounted: kubelets' kubelet_volume_stats metrics.
type claimMetrics struct{ stats Stats }

// claimValues are the metrics of a claim, with the field of its volume's stats that each has.
var claimValues = []struct {
	desc *prometheus.Desc
	of   func(v *statsv1.VolumeStats) *uint64
}{
	{claimDesc("capacity_bytes", "Capacity in bytes of the volume"), func(v *statsv1.VolumeStats) *uint64 { return v.CapacityBytes }},
	{claimDesc("available_bytes", "Number of available bytes in the volume"), func(v *statsv1.VolumeStats) *uint64 { return v.AvailableBytes }},
	{claimDesc("used_bytes", "Number of used bytes in the volume"), func(v *statsv1.VolumeStats) *uint64 { return v.UsedBytes }},
	{claimDesc("inodes", "Maximum number of inodes in the volume"), func(v *statsv1.VolumeStats) *uint64 { return v.Inodes }},
	{claimDesc("inodes_free", "Number of free inodes in the volume"), func(v *statsv1.VolumeStats) *uint64 { return v.InodesFree }},
	{claimDesc("inodes_used", "Number of used inodes in the volume"), func(v *statsv1.VolumeStats) *uint64 { return v.InodesUsed }},
}

func claimDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("kubelet_volume_stats_"+name, "[ALPHA] "+help, []string{"namespace", "persistentvolumeclaim"}, nil)
}

// Describe is prometheus.Collector's.
func (claimMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range claimValues {
		ch <- v.desc
	}
}

// Collect is prometheus.Collector's. A claim that several pods have is told once.
func (m claimMetrics) Collect(ch chan<- prometheus.Metric) {
	s, err := m.stats.Summary(false)
	if err != nil {
		return // /metrics/resource tells of it
	}
	told := map[statsv1.PVCReference]bool{}
	for _, p := range s.Pods {
		for i := range p.VolumeStats {
			volume := &p.VolumeStats[i]
			if volume.PVCRef == nil || told[*volume.PVCRef] {
				continue
			}
			told[*volume.PVCRef] = true
			for _, value := range claimValues {
				if n := value.of(volume); n != nil {
					send(ch, time.Time{}, value.desc, prometheus.GaugeValue, float64(*n), volume.PVCRef.Namespace, volume.PVCRef.Name)
				}
			}
		}
	}
}
