// Package metrics asks a gateway for the metrics that autoscalers scale by: those of the resource metrics API (metrics.k8s.io), the custom
// metrics API (custom.metrics.k8s.io) and the external metrics API (external.metrics.k8s.io).
//
// What it returns is in thousandths of the metric's unit. Answers come from whatever serves these APIs: amounts without sensible bounds are
// refused, nothing panics on them.
package metrics
