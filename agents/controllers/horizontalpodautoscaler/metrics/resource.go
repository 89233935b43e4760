package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// podMetricsList is a PodMetricsList of metrics.k8s.io/v1beta1.
type podMetricsList struct {
	Items []podMetrics `json:"items"`
}

type podMetrics struct {
	Metadata   metav1.ObjectMeta  `json:"metadata"`
	Timestamp  metav1.Time        `json:"timestamp"`
	Window     metav1.Duration    `json:"window"`
	Containers []containerMetrics `json:"containers"`
}

type containerMetrics struct {
	Name  string                         `json:"name"`
	Usage map[corev1.ResourceName]amount `json:"usage"`
}

// Resource is the usage of a resource by the pods of a namespace that selector selects, by their names; of one container of each where container
// is not "". A pod of which a container has no usage is missing.
func (c Client) Resource(ctx context.Context, resource corev1.ResourceName, namespace string, selector labels.Selector, container string) (map[string]Pod, error) {
	var list podMetricsList
	err := c.get(ctx, &list, selecting(map[string]labels.Selector{"labelSelector": selector}), "metrics.k8s.io", "v1beta1", "namespaces", namespace, "pods")
	if err != nil {
		return nil, fmt.Errorf("unable to fetch metrics from resource metrics API: %w", err)
	}
	if len(list.Items) == 0 {
		return nil, errors.New("no metrics returned from resource metrics API")
	}
	out := make(map[string]Pod, len(list.Items))
	for i := range list.Items {
		m := &list.Items[i]
		if used, there := m.usage(resource, container); there {
			out[m.Metadata.Name] = Pod{Value: used, At: m.Timestamp.Time, Window: max(m.Window.Duration, 0)}
		}
	}
	return out, nil
}

// usage is that of all containers, or of the one named.
func (m *podMetrics) usage(resource corev1.ResourceName, container string) (sum int64, there bool) {
	for _, c := range m.Containers {
		if container != "" && c.Name != container {
			continue
		}
		used, ok := c.Usage[resource]
		if !ok {
			return 0, false
		}
		sum, there = Add(sum, int64(used)), true
		if container != "" {
			break
		}
	}
	return sum, there
}

// windowOf is the time that a custom metric was measured for.
func windowOf(seconds *int64) time.Duration {
	const usual, most = time.Minute, 24 * 60 * 60
	if seconds == nil {
		return usual
	}
	return time.Duration(min(max(*seconds, 0), most)) * time.Second
}
