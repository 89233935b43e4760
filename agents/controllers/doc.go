// Package controllers is the agent that brings objects to what their specs ask for: replica sets of deployments, pods of replica sets,
// slices of services, and the life cycle of namespaces, nodes, owners and their dependents.
//
// The table of all controllers is in controllers.go. Their code is in workload, lifecycle and network; what they are made of in controller.
//
// # Contract
//
//   - One process of a cluster leads and runs all controllers; every write is fenced by the election.
//   - No key is reconciled before every kind is followed, and none after leadership ended.
//   - A controller reads and writes only the kinds that its row declares: the registry it is given refuses others.
//   - Each part of a kind (spec, status, one condition) has one writer.
//   - Objects in the cache may have been written by hand: nothing relies on a field being set, a reference leading anywhere, or a
//     number being sane. What cannot succeed is logged once, and reconciled again when it changes.
//   - Kinds come and go while the controllers run: those that watch every kind follow the registry's Kinds.
//
// # Metrics
//
// workqueue_* with the label name = the controller's name, as Kubernetes has them.
package controllers
