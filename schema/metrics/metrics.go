// Package metrics has the kinds of metrics.k8s.io: what nodes and pods use of their resources. They are not stored: a gateway makes them when it
// is asked. Names, columns and the resources that errors name are those of metrics-server.
package metrics

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"gantry/schema"
)

// Node is the kind of what a node uses.
var Node = &schema.Kind{
	Version: schema.Version{
		Group: metricsv1beta1.GroupName, Version: "v1beta1", Kind: "NodeMetrics",
		New:     func() schema.Object { return &metricsv1beta1.NodeMetrics{} },
		NewList: func() runtime.Object { return &metricsv1beta1.NodeMetricsList{} },
		Columns: columns,
		Row: func(obj schema.Object, _ metav1.Time) []any {
			m := obj.(*metricsv1beta1.NodeMetrics)
			return row(m.Name, m.Usage, m.Window)
		},
	},
	Plural: "nodes", Categories: []string{}, Verbs: []string{"get", "list"},
}

// Pod is the kind of what a pod's containers use.
var Pod = &schema.Kind{
	Version: schema.Version{
		Group: metricsv1beta1.GroupName, Version: "v1beta1", Kind: "PodMetrics",
		New:     func() schema.Object { return &metricsv1beta1.PodMetrics{} },
		NewList: func() runtime.Object { return &metricsv1beta1.PodMetricsList{} },
		Columns: columns,
		Row: func(obj schema.Object, _ metav1.Time) []any {
			m := obj.(*metricsv1beta1.PodMetrics)
			sum := corev1.ResourceList{}
			for _, c := range m.Containers {
				for name, q := range c.Usage {
					total := sum[name]
					total.Add(q)
					sum[name] = total
				}
			}
			return row(m.Name, sum, m.Window)
		},
	},
	Plural: "pods", Namespaced: true, Categories: []string{}, Verbs: []string{"get", "list"},
}

var columns = []metav1.TableColumnDefinition{
	{Name: "Name", Type: "string", Format: "name", Description: "Name of the resource"},
	{Name: string(corev1.ResourceCPU), Type: "string", Format: "quantity"},
	{Name: string(corev1.ResourceMemory), Type: "string", Format: "quantity"},
	{Name: "Window", Type: "string", Format: "duration"},
}

func row(name string, used corev1.ResourceList, window metav1.Duration) []any {
	return []any{name, used.Cpu().String(), used.Memory().String(), window.Duration.String()}
}
