// Package resourcemetrics answers metrics.k8s.io: what nodes and pods use of CPU and memory, by asking their kubelets for /metrics/resource. It
// asks when it is asked, and only the nodes that a request is about; requests that come together share an answer of a few seconds' age at
// most. A node that does not answer in time is left out, and costs nobody more than that time.
//
// CPU is counted since a container began, so a rate takes two samples. Those of the last minute are kept per node. Where there is none yet, the
// node is asked twice, a second apart.
//
// What kubelets send is hostile: numbers that make no sense are left out, and a node speaks of the pods alone that are bound to it.
package resourcemetrics
