// Package controllers is the agent that makes what is wanted so: replica sets of deployments, pods of replica
// sets, slices of services, and the keeping of namespaces, nodes and owners.
//
// # Contract
//
//   - One process of a cluster leads and runs them all; every write is fenced by the election.
//   - A controller is a row of the table in controllers.go. It never looks at an event: an event only says which key to
//     look at again. A look observes from the cache, makes a pure plan of actions with a reason each, and executes
//     them in order, stopping at the first error. The reason goes to the log.
//   - A look ends only when the cache shows its own writes, so the next look at the key cannot repeat them.
//   - Each part of a kind (spec, status, one condition) has one writer.
//   - Objects in the cache were perhaps written by hand: nothing here relies on a field being set, a reference leading
//     anywhere, or a number being sane. What is hopeless ends as a log line and is looked at again when it changes.
//
// # Metrics
//
// workqueue_* with the label name = the controller's name, as Kubernetes has them.
package controllers
