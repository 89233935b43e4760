package kubelet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/env"
	"gantry/schema/pods"
)

// refreshEvery is how often volumes made from objects are brought up to date.
const refreshEvery = time.Minute

// refreshVolumes keeps the files of config maps, secrets, the downward API and tokens up to date in running pods.
func (k *kubelet) refreshVolumes(ctx context.Context) error {
	t := time.NewTicker(refreshEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		for _, w := range k.allWorkers() {
			s := w.snapshot.Load()
			if s == nil || s.gone || pods.IsTerminal(s.pod) || s.pod.DeletionTimestamp != nil || len(s.Containers) == 0 {
				continue
			}
			if err := k.volumes.Refresh(ctx, s.pod); err != nil && ctx.Err() == nil {
				w.log.Warn("volumes not refreshed", "after", refreshEvery, "err", err)
			}
		}
	}
}

// volumeField is a field for the downward API: those of environment variables, and labels and annotations as a whole.
func (k *kubelet) volumeField(pod *corev1.Pod, path string) (string, error) {
	switch path {
	case "metadata.labels":
		return formatMap(pod.Labels), nil
	case "metadata.annotations":
		return formatMap(pod.Annotations), nil
	}
	return env.FieldValue(pod, path, env.Sources{NodeIPs: k.cfg.NodeIPs})
}

func (k *kubelet) volumeResource(pod *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	return env.ResourceValue(pod, c, ref, k.node.Allocatable())
}

// formatMap is a map as the downward API writes it: key="value", sorted, a line each.
func formatMap(m map[string]string) string {
	text := ""
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			text += "\n"
		}
		text += fmt.Sprintf("%s=%q", key, m[key])
	}
	return text
}
