package stats

import (
	"time"

	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// volumesEvery is how often what a pod's volumes use is read: a directory is counted file by file. It is kubelets' volumeStatsAggPeriod.
const volumesEvery = time.Minute

// volumes are the volumes of a pod as they were read last.
type volumes struct {
	at    time.Time
	stats []statsv1.VolumeStats
}

// readVolumes adds what the volumes of the pods use, and forgets pods that are gone.
func (c *Collector) readVolumes(s *statsv1.Summary, now time.Time) {
	if c.cfg.Volumes == nil {
		return
	}
	known := map[string]volumes{}
	for i := range s.Pods {
		uid := s.Pods[i].PodRef.UID
		v, ok := c.volumes[uid]
		if !ok || now.Sub(v.at) >= volumesEvery {
			v = volumes{now, c.cfg.Volumes(uid)}
		}
		known[uid] = v
		s.Pods[i].VolumeStats = v.stats
	}
	c.volumes = known
}
