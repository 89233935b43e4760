// Package horizontalpodautoscaler has the controller of horizontal pod autoscalers. Every 15 seconds it reads an autoscaler's target, its pods
// and its metrics, and sets the target's replicas by the scale subresource.
//
// observe.go reads, decide.go, usage.go, evaluate.go and normalize.go are pure, autoscaler.go writes. Metrics are asked for at a
// gateway (package metrics): with every gateway down an autoscaler says so in its status and keeps the replicas.
//
// # Contract
//
//   - The replicas that are set are never below minReplicas nor above maxReplicas.
//   - What was recommended and how the replicas were changed is remembered in memory, as kube-controller-manager does: after a change of the
//     leader the stabilization windows begin with the replicas found.
package horizontalpodautoscaler
